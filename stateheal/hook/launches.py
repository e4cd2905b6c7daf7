"""Whether an event of the hook's, or the shell command in it, calls a companion so that its state is used (field guide
section 9).

No shell is parsed here: a command is taken apart where one simple command may end, and in what is left a companion's
script (or a variable, alias or substitution that stands for one) is followed by one of its subcommands. What may be a
call counts as one: the hook then looks for nothing, at worst. Imported only where a companion is named at all.
"""

import os

from stateheal.dialects.names import COMMANDS, NAMED, SLASH, SLASH_COMMANDS, SLASH_PARTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOLS = ("Bash", "PowerShell")

_READ = frozenset(("grep", "rg", "git", "cat", "vim", "vi", "less", "head", "tail", "sed", "ls", "echo", "cargo"))
"""Programs that a script's name may stand behind without being called."""
_GOES = frozenset(
    ("cd", "chdir", "pushd", "--cwd", "--chdir", "--workspace", "-C", "Set-Location", "sl", "Push-Location")
)
"""What stands before a directory."""
_MOST_DIRECTORIES = 8
_ESCAPED = " \"'();&"
"""What a backslash takes the meaning from; before anything else it may be a part of a path of Windows."""
_LONGEST_PATH, _LONGEST_COMMAND = 4096, 20_000
_BETWEEN = " \t\r\n;&|()<>"
_CONTINUED = ("\\\r\n", "\\\n", "`\r\n", "`\n", "^\r\n", "^\n")
_ENDS = str.maketrans(dict.fromkeys(";|&", "\n"))
_BLANKS = str.maketrans({**dict.fromkeys("\"'`(),[]\t\r", " "), **dict.fromkeys("{}")})


def concerned(event: dict[str, object]) -> list[str]:
    """The directories whose workspaces are about to be used; none where the event has nothing to do with jobs."""
    cwd = event.get("cwd")
    if not isinstance(cwd, str) or (not cwd.startswith(("/", "\\")) and cwd[1:2] != ":") or "\0" in cwd:
        return []
    name, tool = event.get("hook_event_name"), event.get("tool_input")
    if name == "SessionStart":
        return [cwd]
    if name == "PreToolUse" and event.get("tool_name") in _TOOLS and isinstance(tool, dict):
        return _launched_in(cwd, tool.get("command"))
    if name == "UserPromptExpansion":
        return _expanded_in(cwd, event)
    return []


def _expanded_in(cwd: str, event: dict[str, object]) -> list[str]:
    """``/codex:rescue``, ``/gemini:status`` …, and what expands to such a call by itself."""
    name = event.get("command_name")
    plugin, _, command = name.partition(":") if isinstance(name, str) else ("", "", "")
    if plugin in SLASH or any(part in plugin for part in SLASH_PARTS):
        return [cwd] if command in SLASH_COMMANDS or command in COMMANDS else []
    return _launched_in(cwd, event.get("prompt"))


def _launched_in(cwd: str, command: object) -> list[str]:
    return [cwd, *directories(str(command), cwd)] if launches(command) else []


def launches(command: object) -> bool:
    """Whether this text, given to a shell, calls a companion: behind ``timeout``, in ``bash -c``, by a variable."""
    if not isinstance(command, str):
        return False
    text = command.casefold()
    if not any(name in text for name in NAMED):
        return False
    segments = [segment.translate(_BLANKS).split() for segment in _simple_commands(text)]
    names = {name for words in segments for name in _set_to_a_script(words)}
    return any(_calls(words, names) for words in segments)


def directories(command: str, cwd: str) -> list[str]:
    """Directories, besides the one it is started in, that a command goes to or names: there the companion may work."""
    here = os.path.normpath(cwd)
    found: list[str] = []
    for words in (_words(command[:_LONGEST_COMMAND]), command.translate(_BLANKS | _ENDS).split()):
        at = cwd
        for named in _gone_to(words)[:_MOST_DIRECTORIES]:
            away = os.path.expanduser(named)
            found += [os.path.normpath(os.path.join(each, away)) for each in (cwd, at)]
            at = found[-1]
    return [each for each in dict.fromkeys(found) if each != here and os.path.isdir(each)]


def _gone_to(words: list[str]) -> list[str]:
    """What stands behind ``cd``, ``--cwd`` and the like, flags left out and variables filled in."""
    found, known = [], dict(os.environ)
    for position, word in enumerate(words):
        name, is_given, value = word.partition("=")
        if word in _GOES:
            found += [_filled(each, known) for each in words[position + 1 : position + 4] if each[:1] != "-"][:1]
        elif is_given and name in _GOES:
            found.append(_filled(value, known))
        elif is_given and name.isidentifier():
            known[name] = _filled(value, known)
    return found


def _filled(text: str, known: "Mapping[str, str]") -> str:
    """A path, or a value, whose variables are filled in, those that are known; what they hold is taken as it stands."""
    first, *rest = text.split("$")
    for piece in rest:
        braced = piece.startswith("{")
        name, tail = (
            piece[1:].partition("}")[::2] if braced else ((start := _variable("$" + piece)), piece[len(start) :])
        )
        first += known[name] + tail if name in known else "$" + piece
    return first if len(first) < _LONGEST_PATH else text


def _words(text: str, deeper: int = 3) -> list[str]:
    """The words of a command, quoted ones whole; of one that holds a command itself (``bash -c "…"``) those as well."""
    words: list[str] = []
    word, quote, escaped = "", "", False
    for char, following in zip(text, text[1:] + " ", strict=True):
        if escaped:
            word, escaped = word + char, False
        elif char == "\\" and following in _ESCAPED and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        elif quote or char not in _BETWEEN:
            word += char
        elif word:
            words.append(word)
            word = ""
    words += [word] if word else []
    inner = [each for each in words if deeper and any(blank in each for blank in " \t\n")]
    return words + [each for held in inner for each in _words(held, deeper - 1)]


def _simple_commands(text: str) -> list[str]:
    for end in _CONTINUED:
        text = text.replace(end, " ")
    text = _without_substitutions(text.replace(">&", ">"))
    return text.replace(">", " > ").replace("<", " < ").translate(_ENDS).split("\n")


def _without_substitutions(text: str) -> str:
    """``$(…)`` and backquotes by what they may come to, a companion's script where they name one; what is run in them
    stands behind."""
    inner: list[str] = []
    pieces = text.split("`")
    if len(pieces) % 2:
        inner += pieces[1::2]
        pieces[1::2] = [_stands_for(piece) for piece in pieces[1::2]]
        text = "".join(pieces)
    while (end := text.find(")")) >= 0:
        begin = text.rfind("$(", 0, end)
        if begin < 0:
            text = text[:end] + " " + text[end + 1 :]
        else:
            inner.append(text[begin + 2 : end])
            text = text[:begin] + _stands_for(inner[-1]) + text[end + 1 :]
    return "\n".join([text, *inner])


def _stands_for(substituted: str) -> str:
    return " companion " if _names_script(substituted) else "$0"


def _set_to_a_script(words: list[str]) -> list[str]:
    """What is set to a companion's script: ``S=/plugins/codex-companion.mjs``, ``$S = "…"``, ``alias c='node …'``."""
    found = []
    for position, word in enumerate(words):
        name, is_assignment, value = word.partition("=")
        name = (name or (words[position - 1] if position else "")).removeprefix("$")
        if is_assignment and name.isidentifier() and any(map(_names_script, (value, *words[position + 1 :]))):
            found.append(name)
    return found


def _calls(words: list[str], names: set[str]) -> bool:
    if not words or words[0] in _READ:
        return False
    return any(_is_script(word, names) and _uses_state(words[number + 1 :]) for number, word in enumerate(words))


def _is_script(word: str, names: set[str]) -> bool:
    return "=" not in word and (word in names or _variable(word) in names or _names_script(word))


def _variable(word: str) -> str:
    """``s`` of ``/x/$s.mjs``; empty where no variable stands in it."""
    rest = word.partition("$")[2]
    end = next((number for number, char in enumerate(rest) if not (char.isalnum() or char == "_")), len(rest))
    return rest[:end]


def _names_script(text: str) -> bool:
    return any(name in word.replace("\\", "/").rpartition("/")[2] for word in text.split() for name in NAMED)


def _uses_state(words: list[str]) -> bool:
    """Whether a subcommand comes first; options and redirections, and what may belong to them, left out."""
    loose = False
    for word in words:
        if word in COMMANDS or "$" in word:
            return True
        loose = loose or word.startswith(("-", "<", ">"))
        if not loose and not word.isdigit():
            return False
    return False
