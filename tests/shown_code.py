"""Do two definitions say the same? Compared as syntax trees, apart from docstrings, annotations and argument checks."""
import ast

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _is_docstring(statement) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _is_check(statement) -> bool:
    return isinstance(statement, ast.If) and not statement.orelse and all(isinstance(s, ast.Raise) for s in statement.body)


class _Bare(ast.NodeTransformer):
    """Strip docstrings, annotations, and the argument checks that open a function."""

    def generic_visit(self, node):
        super().generic_visit(node)
        if isinstance(node, DEFINITIONS):
            body = node.body[1:] if _is_docstring(node.body[0]) else node.body
            while body and _is_check(body[0]):
                body = body[1:]
            node.body = body or [ast.Pass()]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        self.generic_visit(node)
        return ast.Assign([node.target], node.value) if node.value is not None else node


def bare(node) -> str:
    return ast.dump(_Bare().visit(node), indent=1)
