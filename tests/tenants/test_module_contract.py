"""What a module must keep to stand beside others: each breach stops start-up with a message."""

import itertools
import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from ninja import Router
from ninja.constants import NOT_SET
from ninja.security import HttpBearer
from sqlalchemy import Column, Integer, MetaData, Table

from tenants.auth import KeyAuth
from tenants.keys import Scope
from tenants.module import Job, Wire
from tenants.modules import get_modules, list_operations, order_modules
from tests.tenants.throwaway import make_module, write_revision


class OtherAuth(HttpBearer):
    async def authenticate(self, request, token):
        return token


def make_router(path="/things", *, method="get", is_async=True, auth=NOT_SET, router_auth=NOT_SET):
    router = Router(auth=router_auth)

    if is_async:

        @getattr(router, method)(path, auth=auth)
        async def endpoint(request: HttpRequest):
            return None
    else:

        @getattr(router, method)(path, auth=auth)
        def endpoint(request: HttpRequest):
            return None

    return router


def nest(router, auth=NOT_SET):
    outer = Router(auth=auth)
    outer.add_router("/inner", router)
    return outer


def make_metadata(*tables, **options):
    metadata = MetaData()
    for table in tables:
        Table(table, metadata, Column("id", Integer, primary_key=True), **options)
    return metadata


@pytest.fixture
def module(tmp_path):
    def make(name, **options):
        return make_module(tmp_path, name, **options)

    return make


def assert_refused(modules, *messages):
    with pytest.raises(ImproperlyConfigured) as refusal:
        order_modules(modules)
    for message in messages:
        assert message in str(refusal.value)


class TestNames:
    def test_modules_beside_each_other_are_accepted(self, module):
        one = module("one", router=make_router("/ones"), metadata=make_metadata("ones"))
        two = module("two", router=make_router("/twos"), metadata=make_metadata("twos"))
        assert order_modules([two, one]) == (one, two)

    def test_two_modules_of_one_name_are_refused(self, module):
        assert_refused([module("one"), module("one")], "two modules are named one")

    @pytest.mark.parametrize("name", ["", "One", "1st", "with space", "a" * 41, "a-b", "ünit"])
    def test_a_name_that_is_no_lower_case_identifier_is_refused(self, tmp_path, name):
        module = make_module(tmp_path, "fine")
        object.__setattr__(module, "name", name)
        assert_refused([module], "is not a lower-case identifier")

    def test_all_that_is_wrong_is_said_at_once(self, module):
        one = module("one", requires=("gone",), router=make_router(is_async=False))
        two = module("two", router=make_router(), metadata=make_metadata("alembic_version"))
        assert_refused(
            [one, two],
            "route /things belongs to both one and two",
            "module one requires gone, which is not loaded",
            "is not async",
            "table alembic_version belongs to both the engine and two",
        )


class TestOrder:
    def test_a_module_comes_after_those_it_requires_whatever_the_settings_say(self, module):
        base, middle = module("zebra"), module("middle", requires=("zebra",))
        top = module("apple", requires=("middle", "zebra"))
        for order in itertools.permutations([base, middle, top]):
            assert order_modules(order) == (base, middle, top)

    def test_the_order_does_not_depend_on_the_settings(self, module):
        modules = [module("c", requires=("d",)), module("a"), module("d"), module("b")]
        assert len({order_modules(order) for order in itertools.permutations(modules)}) == 1

    def test_a_circle_is_refused(self, module):
        one, two = module("one", requires=("two",)), module("two", requires=("one",))
        assert_refused([one, two], "circle", "one", "two")

    def test_a_module_that_requires_itself_is_refused(self, module):
        assert_refused([module("one", requires=("one",))], "circle")

    def test_a_missing_requirement_is_refused(self, module):
        assert_refused(
            [module("one", requires=("gone",))], "module one requires gone, which is not loaded"
        )


class TestTables:
    def test_a_table_of_two_modules_is_refused(self, module):
        one = module("one", metadata=make_metadata("things"))
        two = module("two", metadata=make_metadata("things"))
        assert_refused([one, two], "table things belongs to both one and two")

    def test_the_engines_own_table_is_refused(self, module):
        one = module("one", metadata=make_metadata("alembic_version"))
        assert_refused([one], "table alembic_version belongs to both the engine and one")

    def test_a_table_that_names_a_schema_is_refused(self, module):
        one = module("one", metadata=make_metadata("tenants_tenant", schema="public"))
        assert_refused([one], "table tenants_tenant of module one names a schema")


class TestRoutes:
    def test_a_route_of_two_modules_is_refused(self, module):
        one, two = module("one", router=Router()), module("two", router=Router())

        @one.router.get("/things/{thing_id}")
        async def read(request: HttpRequest, thing_id: str):
            return None

        @two.router.get("/things/{int:number}")
        async def read_too(request: HttpRequest, number: int):
            return None

        assert_refused([one, two], "route /things/{int:number} belongs to both one and two")

    def test_a_path_of_two_modules_is_refused_for_different_methods_too(self, module):
        one = module("one", router=make_router("/things", method="get"))
        two = module("two", router=make_router("/things", method="post"))
        assert_refused([one, two], "route /things belongs to both one and two")

    def test_a_route_of_a_nested_router_is_found(self, module):
        one = module("one", router=make_router("/inner/things"))
        two = module("two", router=nest(make_router("/things")))
        assert_refused([one, two], "belongs to both one and two")

    def test_several_methods_of_a_path_in_one_module_are_accepted(self, module):
        router = make_router("/things")

        @router.post("/things")
        async def write(request: HttpRequest):
            return None

        order_modules([module("one", router=router)])


class TestAuth:
    @pytest.mark.parametrize("auth", [None, OtherAuth(), [OtherAuth()], KeyAuth("other")])
    def test_a_route_with_a_way_in_of_its_own_is_refused(self, module, auth):
        one = module("one", router=make_router(auth=auth))
        assert_refused([one], "route /things of module one brings its own way to authenticate")

    @pytest.mark.parametrize("auth", [None, OtherAuth(), KeyAuth("other")])
    def test_a_router_with_a_way_in_of_its_own_is_refused(self, module, auth):
        for router in (
            make_router(router_auth=auth),
            nest(make_router(router_auth=auth)),
            nest(make_router(), auth=auth),
        ):
            assert_refused([module("one", router=router)], "brings its own way to authenticate")

    def test_a_route_may_ask_for_another_scope_of_its_own_module(self, module):
        order_modules([module("one", router=make_router(auth=KeyAuth("one", Scope.ADMIN)))])

    def test_a_sync_route_is_refused(self, module):
        one = module("one", router=make_router(is_async=False))
        assert_refused([one], "route /things of module one is not async")


class TestWires:
    def wire(self, prefix, router=None):
        return Wire(
            prefix=prefix, router=router or Router(), render_error=lambda error, _: (b"", {})
        )

    def test_wires_of_several_modules_are_accepted(self, module):
        one = module("one", wires=(self.wire("other/v1", make_router()), self.wire("other/v2")))
        order_modules([one, module("two", wires=(self.wire("another/v1"),))])

    def test_two_wires_of_one_prefix_are_refused(self, module):
        one = module("one", wires=(self.wire("other/v1"),))
        two = module("two", wires=(self.wire("other/v1"),))
        assert_refused([one, two], "wire 'other/v1' of module two stands where another does")

    @pytest.mark.parametrize(
        "prefix", ["", "other", "/other/v1", "other/v1/", "Other/v1", "a/../b"]
    )
    def test_a_prefix_that_is_no_path_of_words_is_refused(self, module, prefix):
        one = module("one", wires=(self.wire(prefix),))
        assert_refused([one], "is not a path of lower-case words")

    @pytest.mark.parametrize("prefix", ["api/v2", "admin/tenants", "accounts/x", "static/x"])
    def test_a_prefix_of_the_engines_own_is_refused(self, module, prefix):
        one = module("one", wires=(self.wire(prefix),))
        assert_refused([one], "stands where the engine's own pages are")

    def test_a_route_with_a_way_in_of_its_own_is_refused(self, module):
        one = module("one", wires=(self.wire("other/v1", make_router(auth=OtherAuth())),))
        assert_refused([one], "route /things of module one brings its own way to authenticate")


class TestJobs:
    @staticmethod
    def job(name, every_seconds=60.0):
        async def run(tenant):
            return 0

        return Job(name=name, every_seconds=every_seconds, run=run)

    def test_jobs_of_two_modules_may_have_the_same_name(self, module):
        modules = [module(name, jobs=(self.job("sweep"), self.job("off", 0))) for name in "ab"]
        assert order_modules(modules) == tuple(modules)

    def test_jobs_that_cannot_be_told_apart_or_run_are_refused(self, module):
        jobs = (self.job("sweep"), self.job("sweep"), self.job("Bad name"), self.job("late", -1))
        assert_refused(
            [module("one", jobs=jobs)],
            "two jobs of module one are named sweep",
            "job 'Bad name' of module one is not a lower-case identifier",
            "the period of job late of module one is negative",
        )


class TestRevisions:
    def test_a_missing_folder_is_refused(self, module):
        one = module("one")
        one.revisions.rmdir()
        assert_refused([one], "module one has no revisions folder")

    def test_two_heads_are_refused(self, module, tmp_path):
        one = make_module(tmp_path, "one", "pass", "pass")
        write_revision(one.revisions, "one_0002b", parent="one_0001")
        assert_refused([one], "the revisions of module one are not one line")

    def test_two_bases_are_refused(self, tmp_path):
        one = make_module(tmp_path, "one", "pass")
        write_revision(one.revisions, "one_0009", label="one_too")
        assert_refused([one], "the revisions of module one are not one line")

    @pytest.mark.parametrize("label", [None, "two", "One"])
    def test_a_wrong_branch_label_is_refused(self, module, label):
        one = module("one")
        write_revision(one.revisions, "one_0001", label=label)
        assert_refused([one], "the first revision of module one must have the branch label one")

    def test_a_dependency_on_another_branch_is_refused(self, tmp_path):
        one = make_module(tmp_path, "one", "pass", "pass")
        write_revision(one.revisions, "one_0003", parent="one_0002", depends_on="one_0001")
        assert_refused([one], "revision one_0003 of module one depends on another branch")

    def test_a_revision_name_of_two_modules_is_refused(self, module):
        one, two = module("one"), module("two")
        for each in (one, two):
            write_revision(each.revisions, "0001", label=each.name)
        assert_refused([one, two], "revision 0001 belongs to both one and two")

    def test_a_revision_without_its_parent_is_refused(self, module):
        one = module("one")
        write_revision(one.revisions, "one_0002", parent="one_0001", label="one")
        assert_refused([one], "the revisions of module one can't be read", "one_0001")

    def test_a_revision_that_stands_there_twice_is_refused(self, tmp_path):
        one = make_module(tmp_path, "one", "pass")
        (one.revisions / "copy.py").write_text((one.revisions / "one_0001.py").read_text())
        assert_refused([one], "the revisions of module one can't be read", "one_0001")

    def test_a_revision_that_is_no_python_is_refused(self, module):
        one = module("one")
        (one.revisions / "one_0001.py").write_text("def (:")
        assert_refused([one], "the revisions of module one can't be read", "SyntaxError")


class TestLoading:
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (None, "there is no module package 'broken_feature'"),
            ("", "broken_feature/module.py defines no `module`"),
            ("module = 1", "`module` in broken_feature/module.py is not a Module"),
        ],
    )
    def test_a_package_that_is_no_module_is_refused(
        self, tmp_path, monkeypatch, settings, source, message
    ):
        if source is not None:
            (tmp_path / "broken_feature").mkdir()
            (tmp_path / "broken_feature" / "module.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        for name in ("broken_feature", "broken_feature.module"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        settings.TENANTRY = settings.TENANTRY.model_copy(update={"modules": ["broken_feature"]})
        with pytest.raises(ImproperlyConfigured) as refusal:
            get_modules.__wrapped__()
        assert message in str(refusal.value)

    def test_a_breach_stops_start_up_with_one_line(self, tmp_path):
        package = tmp_path / "clashing"
        (package / "revisions").mkdir(parents=True)
        (package / "module.py").write_text(
            "from pathlib import Path\n"
            "from ninja import Router\n"
            "from tenants.db.base import create_metadata\n"
            "from tenants.module import Module\n"
            "router = Router()\n"
            "@router.get('/conversations')\n"
            "async def endpoint(request): ...\n"
            "module = Module(name='clashing', label='', version='1', router=router,\n"
            "    metadata=create_metadata(), revisions=Path(__file__).parent / 'revisions')\n"
        )
        result = subprocess.run(
            [sys.executable, "manage.py", "serve", "--port", "0"],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "TENANTRY_MODULES": '["conversations", "clashing"]',
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert result.returncode == 2
        assert result.stderr == (
            "error: route /conversations belongs to both conversations and clashing\n"
        )

    def test_every_operation_of_the_sample_module_is_listed(self):
        sample = next(module for module in get_modules() if module.name == "sample")
        assert {path for path, _ in list_operations(sample.router)} == {
            "/notes",
            "/notes/{note_id}",
        }
