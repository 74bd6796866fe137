"""What scripts/peers.sh runs: draws histories, lets the checkers take turns, writes the page."""

import gzip
import json
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = Path("docs/checker-speed.md")
EXAMPLES = Path("target/release/examples")
DRAWN = Path("target/peers")
CORPORA = Path(os.environ.get("KEYQUAKE_CORPORA", "../shared/corpora"))
OURS = "elle-rs"
NAMES = ["PORCUPINE", "PORCUPINE_RUST", "PORCUPINE_RS", "KNOSSOS", "ELLE", "ADYA"]
SHOWN = {"PORCUPINE": "Porcupine", "PORCUPINE_RUST": "porcupine-rust", "PORCUPINE_RS": "porcupine-rs",
         "KNOSSOS": "Knossos", "ELLE": "Elle", "ADYA": "adya"}
COMMANDS = {OURS: [str(EXAMPLES / "judge")]}
for name in NAMES:
    if os.environ.get(name):
        COMMANDS[SHOWN[name]] = os.environ[name].split()
ONE_THREAD = {"RAYON_NUM_THREADS": "1", "GOMAXPROCS": "1"}
MEASURER_MB = 16  # a child's peak is never told below that of the process it was forked from


class Run:
    """One process: what it said, and what it took."""

    def __init__(self, command, extra, limit):
        with tempfile.TemporaryFile() as out:
            began = time.monotonic()
            child = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL,
                                     env={**os.environ, **extra}, start_new_session=True)
            signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, limit)
            _, status, usage = os.wait4(child.pid, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            child.returncode = status
            self.wall = time.monotonic() - began
            out.seek(0)
            lines = [line.split() for line in out.read().decode().splitlines()]
        self.cpu = usage.ru_utime + usage.ru_stime
        self.mb = usage.ru_maxrss / 1024
        self.answered = os.WIFEXITED(status)
        self.check = next((float(words[1]) for words in lines if words[:1] == ["check"]), None)
        self.verdicts = {words[0]: words[1] for words in lines if len(words) > 1 and words[0] != "check"}


def measure(tools, model, level, files, extra=None, limit=240):
    """The runs of each checker there is, in turns: up to nine, fewer of what takes long."""
    runs = {tool: [] for tool in tools if tool in COMMANDS}
    for _ in range(9):
        for tool, done in runs.items():
            spent = sum(run.wall for run in done)
            if done and (spent > 12 or not done[-1].answered or (len(done) >= 5 and spent > 2)):
                continue
            command = COMMANDS[tool] + [model, level] + [str(file) for file in files]
            done.append(Run(command, extra or {}, limit))
    return runs


def middle(runs, what):
    values = [getattr(run, what) for run in runs if getattr(run, what) is not None]
    return statistics.median(values) if values else None


def short(number):
    if number is None:
        return "–"
    return f"{number:.4f}" if number < 0.1 else f"{number:.3f}" if number < 10 else f"{number:,.1f}"


def megabytes(number):
    return f"< {MEASURER_MB}" if number < MEASURER_MB else f"{number:,.0f}"


def score(run, expected):
    """How many of the expected verdicts came out."""
    right = sum(run.verdicts.get(str(file)) == verdict for file, verdict in expected.items())
    wrong = sum(run.verdicts.get(str(file), "undecided") not in (verdict, "undecided")
                for file, verdict in expected.items())
    if not run.answered:
        return f"no answer in {run.wall:.0f} s" + (f" ({right} of {len(expected)} right until then)" if right else "")
    if len(expected) == 1:
        (file, verdict), = expected.items()
        told = run.verdicts.get(str(file), "undecided")
        return told if told in (verdict, "undecided") else f"{told}, WRONG"
    if right == len(expected):
        return f"all {right} right"
    return f"{right} of {len(expected)} right" + (f", {wrong} WRONG" if wrong else "")


class Section:
    """One part of the page, as it grows."""

    def __init__(self):
        self.lines = []
        self.failed = False

    def add(self, *lines):
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def head(self):
        self.add("| work | checker | verdict | wall s | of it checking | user+sys s | peak MB | times our wall"
                 " | times our user+sys | times our memory | runs |", "|" + "---|" * 11)

    def rows(self, work, tools, model, level, expected, extra=None, limit=240, times=1):
        """Measures one piece of work, done so many times by one process, and tells of each checker."""
        runs = measure(tools, model, level, list(expected) * times, extra, limit)
        ours = runs[OURS]
        for tool, done in runs.items():
            wall, cpu, mb = (middle(done, what) for what in ("wall", "cpu", "mb"))
            told = score(done[0], expected)
            if tool == OURS:
                times = ["", "", ""]
                self.failed |= told not in (f"all {len(expected)} right", *expected.values())
            else:
                pairs = [(wall, "wall"), (cpu, "cpu"), (max(mb, MEASURER_MB), "mb")]
                least = {"wall": 1e-6, "cpu": 1e-6, "mb": MEASURER_MB}
                times = [f"{value / max(middle(ours, what), least[what]):.1f}" for value, what in pairs]
                if not done[0].answered:
                    times = ["> " + each for each in times]
            self.add(f"| {work if tool == OURS else ''} | {tool} | {told} | {short(wall)} | "
                     f"{short(middle(done, 'check'))} | {short(cpu)} | {megabytes(mb)} | "
                     + " | ".join(times) + f" | {len(done)} |")
        for tool in tools:
            if tool not in COMMANDS:
                self.add(f"| | {tool} | *not given* | | | | | | | | |")
        return runs

    def goal(self, text, runs, tool, wall, memory=None):
        """Says whether a checker needs that many times our time and memory."""
        if tool not in runs:
            return
        times = middle(runs[tool], "wall") / middle(runs[OURS], "wall")
        busy = middle(runs[tool], "cpu") / middle(runs[OURS], "cpu")
        room = middle(runs[tool], "mb") / max(middle(runs[OURS], "mb"), MEASURER_MB)
        met = times >= wall and (memory is None or room >= memory)
        wanted = f"{wall}× the time" + (f" and {memory}× the memory" if memory else "")
        self.add(f"- {text}: {tool} is to need at least {wanted}: {times:.1f}× (by user+sys {busy:.1f}×)"
                 + (f" and {room:.1f}×" if memory else "") + (", met" if met else ", **not met**"))


def corpus(name):
    """A history of others, unpacked: not every checker reads packed ones."""
    path = CORPORA / name
    if path.suffix != ".gz":
        return path
    plain = DRAWN / path.name.removesuffix(".gz")
    if not plain.exists():
        with gzip.open(path) as source, open(f"{plain}.part", "wb") as target:
            shutil.copyfileobj(source, target)
        os.rename(f"{plain}.part", plain)
    return plain


def drawn(name, program, *words):
    """A drawn history; `transactions` writes its file itself."""
    path = DRAWN / name
    if not path.exists():
        part = f"{path}.part"
        if program == "transactions":
            at = words.index("FILE")
            command = [*words[:at], part, *words[at + 1:]]
            subprocess.run([EXAMPLES / program, *command], check=True)
        else:
            with open(part, "wb") as out:
                subprocess.run([EXAMPLES / program, *words], check=True, stdout=out)
        os.rename(part, path)
    return path


def operations(number):
    return drawn(f"operations-{number}.edn", "operations", "--operations", str(number),
                 "--clients", "64", "--keys", "8", "--pending", "0.2")


def transactions(model, store, number):
    return drawn(f"{model}-{store}-{number}.edn", "transactions", "write", model, store, str(number), "10", "FILE")


def groups():
    """The histories of others: their name, model, level and expected verdicts."""
    expected = json.loads((CORPORA / "porcupine/expected.json").read_text())
    word = {True: "valid", False: "violated"}
    for name, folder, model in [("Porcupine's etcd logs", "jepsen/", "cas-register"),
                                ("Porcupine's kv", "kv/", "kv-map")]:
        yield name, model, "linearizable", {CORPORA / "porcupine" / file: word[good]
                                            for file, good in expected.items() if file.startswith(folder)}
    for model in ["cas-register", "multi-register", "mutex"]:
        for folder, verdict in [("good", "valid"), ("bad", "violated")]:
            files = sorted((CORPORA / "knossos" / model / folder).glob("*.edn"))
            if files:
                yield f"Knossos' {model}, {folder}", model, "linearizable", {file: verdict for file in files}
    lists = {"strict-serializable": {
        "huge-scc.edn": "violated", "paper-example.edn": "violated", "la-info1pct-10000-c20.edn.gz": "valid",
        "la-perfect-10000-c10.edn.gz": "valid", "la-perfect-100000-c10.edn.gz": "valid",
        "la-si-10000-c10.edn.gz": "violated", "la-si-100000-c10.edn.gz": "violated", "la-ssi-10000-c10.edn.gz": "valid"},
        "serializable": {"la-si-10000-c10.edn.gz": "violated", "la-si-100000-c10.edn.gz": "violated",
                         "la-perfect-100000-c10.edn.gz": "valid"},
        "snapshot-isolation": {"la-si-10000-c10.edn.gz": "valid", "la-si-100000-c10.edn.gz": "valid",
                               "la-perfect-10000-c10.edn.gz": "valid"}}
    for level, files in lists.items():
        yield f"Elle's list-append, {level}", "list-append", level, \
            {corpus(f"elle/{file}"): verdict for file, verdict in files.items()}
    yield "Elle's rw-register, strict-serializable", "rw-register", "strict-serializable", \
        {corpus("elle/rw-perfect-10000-c10.edn.gz"): "valid"}


READERS = {"linearizable": ["Porcupine", "porcupine-rust", "porcupine-rs", "Knossos"]}


def part_corpora(section):
    section.add("| histories | how many | elle-rs | certificates that its verifier refuses | others |", "|---|---|---|---|---|")
    for name, model, level, expected in groups():
        ours = Run(COMMANDS[OURS] + [model, level, *map(str, expected)], {}, 150)
        told = score(ours, expected)
        section.failed |= told not in (f"all {len(expected)} right", *expected.values())
        verified = [str(file) for file in expected]
        proved = Run(COMMANDS[OURS] + [model, level, *verified], {"ELLE_VERIFY": "1"}, 300)
        refused = sum(verdict == "refuted" for verdict in proved.verdicts.values())
        section.failed |= refused > 0 or len(proved.verdicts) < len(verified)
        others = []
        for tool in COMMANDS:
            single = level == "linearizable"
            fits = tool in READERS["linearizable"] if single else tool in ("Elle", "adya")
            fits &= not (name.startswith("Knossos") and tool != "Knossos") and not (model == "kv-map" and tool == "Knossos")
            if not fits:
                continue
            run = Run(COMMANDS[tool] + [model, level, *map(str, expected)], {}, 20 if single else 60)
            others.append(f"{tool}: {score(run, expected)}")
        section.add(f"| {name} | {len(expected)} | {told} | {refused} of {len(verified)} | {'; '.join(others)} |")


def part_single(section):
    ports = ["porcupine-rust", "porcupine-rs"]
    section.head()
    by_name = {name: rest for name, *rest in groups()}
    model, level, logs = by_name["Porcupine's etcd logs"]
    etcd = section.rows(f"{len(logs)} etcd logs, one thread", [OURS, "Porcupine", *ports], model, level, logs, ONE_THREAD)
    model, level, kv = by_name["Porcupine's kv"]
    maps = {}
    for file, verdict in kv.items():
        if "c50" in file.name:
            # To start a program takes longer than to check what is so short.
            maps[file.name] = section.rows(f"kv {file.stem}, 20 times", [OURS, "Porcupine", *ports], model, level,
                                           {file: verdict}, limit=20, times=20)
        elif "c01" not in file.name:
            section.rows(f"kv {file.stem}", [OURS, "Porcupine", *ports], model, level, {file: verdict}, limit=20)
    for name in by_name:
        if name.startswith("Knossos"):
            section.rows(name, [OURS, "Knossos"], *by_name[name])
    path = operations(1_000_000)
    million = section.rows("1,000,000 operations on 8 registers, 64 clients, 20 % pending", [OURS],
                           "register", "linearizable", {path: "valid"})
    section.add("")
    section.goal("etcd logs", etcd, "Porcupine", 5)
    for port in ports:
        section.goal("etcd logs", etcd, port, 2)
    for name in ["c50-ok.txt", "c50-bad.txt"]:
        section.goal(f"kv {name}, 20 times", maps[name], "Porcupine", 10)
        for port in ports:
            section.goal(f"kv {name}, 20 times", maps[name], port, 2)
    wall, mb = middle(million[OURS], "wall"), middle(million[OURS], "mb")
    section.add(f"- 1,000,000 operations are to be decided in under 2 s and 1,000 MB: {wall:.2f} s and {mb:.0f} MB, "
                + ("met" if wall < 2 and mb < 1000 else "**not met**"))


def part_transactions(section):
    all_three = [OURS, "Elle", "adya"]
    strict = "strict-serializable"
    section.head()
    lists = "list-append"
    for words, file, verdict in [("10,000", "la-perfect-10000-c10.edn.gz", "valid"),
                                 ("100,000", "la-perfect-100000-c10.edn.gz", "valid"),
                                 ("huge component", "huge-scc.edn", "violated")]:
        section.rows(f"list-append, {words}, strict serializable", all_three, lists, strict,
                     {corpus(f"elle/{file}"): verdict})
    long = drawn("list-append-long.edn", "transactions", "write", lists, "strict", "100000", "30", "FILE", "256")
    section.rows("list-append, 100,000 by 30 clients, lists of 256, strict serializable", all_three, lists, strict,
                 {long: "valid"})
    goals = []
    for words, model, store, level, verdict in [
            ("list-append, 1,000,000, strict serializable", lists, "strict", strict, "valid"),
            ("list-append, 1,000,000, serializable", lists, "strict", "serializable", "valid"),
            ("list-append of a snapshot store, 1,000,000, strict serializable", lists, "snapshot", strict, "violated"),
            ("rw-register, 1,000,000, strict serializable", "rw-register", "strict", strict, "valid")]:
        path = transactions(model, store, 1_000_000)
        goals.append((words, section.rows(words, all_three, model, level, {path: verdict})))
    path = transactions(lists, "strict", 10_000_000)
    most = section.rows("list-append, 10,000,000, strict serializable", [OURS], lists, strict, {path: "valid"})
    section.add("")
    for words, runs in goals:
        section.goal(words, runs, "Elle", 20, 10)
        section.goal(words, runs, "adya", 5, 4)
    mb = middle(most[OURS], "mb")
    section.add(f"- 10,000,000 transactions are to stay within 4,096 MB: {mb:,.0f} MB, " + ("met" if mb < 4096 else "**not met**"))


def part_fit(section):
    section.add("| work | n | wall s | user+sys s | peak MB | ns of user+sys for each of n · log₂ n | bytes of peak for each of n |",
                "|---|---|---|---|---|---|---|")
    kinds = [("operations on registers", "register", "linearizable", operations),
             ("list-append transactions", "list-append", "strict-serializable",
              lambda n: transactions("list-append", "strict", n)),
             ("rw-register transactions", "rw-register", "strict-serializable",
              lambda n: transactions("rw-register", "strict", n))]
    for work, model, level, path in kinds:
        shown = []
        for n in [10**4, 10**5, 10**6, 10**7]:
            runs = measure([OURS], model, level, [path(n)])[OURS]
            section.failed |= set(runs[0].verdicts.values()) != {"valid"}
            wall, cpu, mb = (middle(runs, what) for what in ("wall", "cpu", "mb"))
            shown.append((n, cpu))
            size = f"{mb * 2**20 / n:,.0f}" if mb >= 4 * MEASURER_MB else "–"
            section.add(f"| {work} | {n:,} | {short(wall)} | {short(cpu)} | {megabytes(mb)} | "
                        f"{cpu / (n * math.log2(n)) * 1e9:.1f} | {size} |")
        # The slope of log time over log n, from the least squares of the three that are long enough.
        points = [(math.log(n), math.log(cpu)) for n, cpu in shown[1:]]
        x, y = (statistics.mean(point[axis] for point in points) for axis in (0, 1))
        slope = sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
        section.add(f"| {work} | | | | | time grows as n to the {slope:.2f} from 10⁵ on | |")


def part_same(section):
    section.add("| history | model and level | bytes of its certificate | 1, 2 and 7 threads |", "|---|---|---|---|")
    chosen = []
    for name, model, level, expected in groups():
        for verdict in ("valid", "violated"):
            files = [file for file, word in expected.items() if word == verdict]
            if files:
                chosen.append((max(files, key=lambda file: file.stat().st_size), model, level))
    chosen.append((operations(1_000_000), "register", "linearizable"))
    certificate = DRAWN / "certificate"
    for file, model, level in chosen:
        seen = set()
        for threads in ["1", "2", "7", "7"]:
            certificate.unlink(missing_ok=True)
            run = Run(COMMANDS[OURS] + [model, level, str(file)],
                      {"RAYON_NUM_THREADS": threads, "ELLE_CERTIFICATE": str(certificate)}, 150)
            text = certificate.read_bytes() if certificate.exists() else b""
            seen.add((tuple(run.verdicts.items()), text))
        size = max(len(text) for _, text in seen)
        section.failed |= len(seen) != 1
        section.add(f"| {file.name} | {model}, {level} | {size:,} | " + ("the same" if len(seen) == 1 else "**differ**") + " |")
    certificate.unlink(missing_ok=True)


def part_exhaustive(section):
    section.add("| what is drawn | histories | of them good | undecided | disagreements |", "|---|---|---|---|---|")
    for test in ["linear", "register", "list_append", "rw_register", "levels"]:
        done = subprocess.run(["cargo", "test", "--release", "-p", "elle-rs", "--test", test, "--", "--nocapture",
                               "random", "appends", "exact"],
                              env={**os.environ, "KEYQUAKE_SLOW": "1"}, capture_output=True, text=True)
        section.failed |= done.returncode != 0
        for name, good, rounds, rest in re.findall(r"^(?:test .*\.\.\. )?([\w :,-]+): (\d+) of (\d+) (?:valid|linearizable)(?:, (\d+) undecided)?",
                                                   done.stdout, re.M):
            section.add(f"| {test}: {name} | {int(rounds):,} | {int(good):,} | {rest or 0} | 0 |")
        if done.returncode != 0:
            section.add(f"| {test} | | | | **failed** |")


def write(part, section):
    """Replaces the part's section of the page."""
    begin, end = f"<!-- {part}: written by scripts/peers.sh -->", f"<!-- end of {part} -->"
    page = PAGE.read_text()
    before, rest = page.split(begin)
    _, after = rest.split(end)
    PAGE.write_text(before + begin + "\n\n" + "\n".join(section.lines) + "\n\n" + end + after)


def main():
    parts = sys.argv[1:] or ["corpora", "single", "transactions", "fit", "same"]
    unknown = [part for part in parts if f"part_{part}" not in globals()]
    if unknown:
        sys.exit(f"no such part: {' '.join(unknown)}")
    if not (CORPORA / "MANIFEST.md").exists():
        sys.exit(f"no histories of others at {CORPORA}; set KEYQUAKE_CORPORA")
    for name in NAMES:
        if SHOWN[name] not in COMMANDS:
            print(f"without {SHOWN[name]}: {name} is not set")
    DRAWN.mkdir(parents=True, exist_ok=True)
    failed = []
    for part in parts:
        print(f"\n{part}", flush=True)
        section = Section()
        began = time.monotonic()
        globals()[f"part_{part}"](section)
        print(f"({time.monotonic() - began:.0f} s)")
        write(part, section)
        if section.failed:
            failed.append(part)
    sys.exit(f"a verdict of elle-rs is not as it must be in: {' '.join(failed)}" if failed else 0)


main()
