"""The tree view in a real JupyterLab, driven by a real browser."""
import re

import lab

NOTEBOOK = "09_token_trees.ipynb"


def test_tree_view_in_jupyterlab(page, lab_address, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)  # patient: the machine may be busy
    panel = lab.open_and_run(page, lab_address, NOTEBOOK)
    view = panel.locator(".specdec-tree")
    view.wait_for(timeout=120_000)
    view.scroll_into_view_if_needed()
    body, field = view.locator(".specdec-body"), view.get_by_label("Node")
    tree, mask = body.locator("table").nth(0), body.locator("table").nth(1)

    def lit(cells):
        return cells.evaluate_all("cells => cells.map(c => c.style.outlineStyle === 'solid' ? 1 : 0)")

    expect(body).to_contain_text(re.compile(r"\d+ nodes?, \d+ branch(es)?, \d+ levels? \| accepted: "))
    nodes = mask.locator("tbody tr").count()
    assert field.locator("option").count() == 1 + nodes >= 3
    expect(field.locator("option:checked")).to_have_text("whole tree")
    assert sum(lit(tree.locator("td"))) == sum(lit(mask.locator("tbody tr"))) == 0

    labels = [field.locator("option").nth(1 + node).inner_text() for node in range(nodes)]
    for node in (nodes - 1, 0):
        field.select_option(label=labels[node])
        expect(body).to_contain_text(f"node {node}: ")
        expect(body).to_contain_text("attends to the context")
        expect(body).to_contain_text("after it the verifier writes")
        assert lit(mask.locator("tbody tr")) == [int(i == node) for i in range(nodes)]
        position = re.search(r"attends to the context(?:, nodes? ([\d, ]+))? and itself", body.inner_text())
        above = [int(number) for number in re.findall(r"\d+", position[1] or "")]
        bright = [int(text.split()[0]) for text, on in zip(tree.locator("td").all_inner_texts(), lit(tree.locator("td"))) if on]
        assert sorted(bright) == sorted([*above, node])
        assert mask.locator("tbody tr").nth(node).locator("td", has_text="●").count() == 1 + len(bright)
        view.screenshot(path=tmp_path / f"node{node}.png")
        assert (tmp_path / f"node{node}.png").stat().st_size > 5_000

    field.focus()  # the keyboard alone is enough
    for key in ("Space", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(body).to_contain_text("node 1: ")
    field.select_option(label="whole tree")
    expect(body).to_contain_text("accepted: ")
    assert sum(lit(tree.locator("td"))) == 0

    lab.assert_no_errors(panel)
