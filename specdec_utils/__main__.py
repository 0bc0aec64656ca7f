"""`python -m specdec_utils`: a first look (`shell.demo`); and what has a name of its own: `bench`, `export`, `grade`, `student`,
`wheelhouse`."""
import sys

from .shell import bench, demo, export, grade, student, wheelhouse

COMMANDS = {"bench": bench.main, "export": export.main, "grade": grade.main, "student": student.main, "wheelhouse": wheelhouse.main}


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 if it went well, 2 after one sentence on stderr that says what was wrong."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        if argv and argv[0] in COMMANDS:
            return COMMANDS[argv[0]](argv[1:])
        return demo.main(argv)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
