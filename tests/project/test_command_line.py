"""The command line as a whole: an overview that is complete, help that is right, clean ends."""

import os
import shlex
import subprocess
import sys

import pytest
from django.core.management import get_commands, load_command_class

from project import command_line
from project.command_line import CommandLine
from project.dev.settings import ROOT
from tenants.management.command import TenantryCommand, Verb, VerbCommand

OWN = sorted(name for name, app in get_commands().items() if app in {"project", "tenants"})
TEACHING = [
    name
    for name in OWN
    if isinstance(load_command_class(get_commands()[name], name), TenantryCommand)
]


def load(name):
    """A command as the command line has it, so that it refuses by exiting."""
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True
    return command


def list_verbs(command):
    verbs = [value for value in vars(type(command)).values() if isinstance(value, Verb)]
    assert bool(verbs) == isinstance(command, VerbCommand)
    return verbs


def split(example):
    return shlex.split(example.partition(" > ")[0])


class TestOverview:
    def test_it_shows_every_command_of_ours_once_in_groups(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        lines = CommandLine(["manage.py", "help"]).main_help_text().splitlines()
        shown = [line.split()[0] for line in lines if line[:2] == "  " and line[2] != " "]
        assert sorted(shown) == sorted([*OWN, *command_line._DJANGO])
        assert {"Run it", "Tenants", "People and keys", "Migrations", "Look after it"} <= {*lines}
        assert max(map(len, lines)) <= 80

    def test_djangos_commands_are_named_on_demand(self):
        shown = CommandLine(["manage.py", "help"]).main_help_text(commands_only=True)
        assert {"check", "shell", *OWN} <= set(shown.splitlines())

    @pytest.mark.slow
    @pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["help", "tenants"]])
    def test_it_needs_no_database(self, arguments):
        result = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if "TENANTRY" not in name},
            capture_output=True,
            text=True,
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert "tenants" in result.stdout


class TestHelp:
    @pytest.mark.parametrize("name", TEACHING)
    def test_a_command_says_what_it_does_with_examples(self, name):
        command = load(name)
        text = command.create_parser("manage.py", name).format_help()
        assert len(command.examples) >= 2
        assert text.count("  manage.py ") == len(command.examples)
        assert "--settings" not in text

    @pytest.mark.parametrize("name", TEACHING)
    def test_every_example_can_be_typed(self, name):
        command = load(name)
        given = [example for verb in list_verbs(command) for example in verb.examples]
        for example in [*command.examples, *given]:
            typed, *rest = split(example)
            assert typed == name
            parser = load(name).create_parser("manage.py", name)
            if "--help" in rest:
                with pytest.raises(SystemExit) as end:
                    parser.parse_args(rest)
                assert end.value.code == 0
            else:
                parser.parse_args(rest)

    @pytest.mark.parametrize("name", TEACHING)
    def test_every_verb_takes_json_and_gets_what_its_method_is_given(self, name):
        for verb in list_verbs(load(name)):
            words = split(verb.examples[0])[1:]
            parser = load(name).create_parser("manage.py", name)
            options = vars(parser.parse_args([*words, "--json"]))
            assert options["json"] is True
            assert set(verb.parameters) <= set(options)


class TestEnd:
    def test_a_reader_that_goes_away_is_no_error(self):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "tenants", "list", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 1
