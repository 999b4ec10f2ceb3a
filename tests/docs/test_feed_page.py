"""The page about the live feed: its settings are those there are, and its code follows a stream."""

import re
import shutil
import subprocess

import httpx
import pytest

from project.dev.settings import ENV_PREFIX, ROOT
from tenants.settings import EngineSettings
from tests.project.processes import running_serve

PAGE = (ROOT / "docs" / "feed.md").read_text()


def test_the_settings_and_their_defaults_are_as_the_model_says():
    rows = re.findall(rf"^\| `{ENV_PREFIX}(\w+)` \| (\S+) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 8
    for name, default in rows:
        assert str(EngineSettings.model_fields[name.lower()].default).lower() in {
            default,
            f"{default}.0",
        }
    assert (
        set(re.findall(rf"{ENV_PREFIX}(\w+)", PAGE))
        - {name.upper() for name in EngineSettings.model_fields}
        == set()
    )


@pytest.mark.slow
def test_the_code_follows_a_stream_to_its_end(tenant, tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    (code,) = [
        block
        for block in re.findall(r"^```javascript\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        if "function follow" in block
    ]
    with (
        running_serve(TENANTRY_DRAIN_DELAY_SECONDS="0") as served,
        httpx.Client(base_url=f"{served.base_url}/api/v1", headers=tenant.headers) as api,
    ):
        conversation = api.post("/conversations", json={}).json()["id"]
        path = f"/conversations/{conversation}"
        url = f"{served.base_url}/api/v1{path}/events?after=0"
        script = tmp_path / "follow.mjs"
        script.write_text(
            f"{code}\nfollow({url!r}, {tenant.key!r}, (name, data) => "
            "console.log(name, data.seq ?? data.delta ?? '', data.content ?? ''))"
            ".then((answer) => process.exit(answer.status === 404 ? 0 : 1));"
        )
        with subprocess.Popen([node, script], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout.readline().split() == ["ready"]
                api.post(f"{path}/messages", json={"role": "user", "content": "a: b\n\nc"})
                assert process.stdout.readline() == "message 1 a: b\n"
                assert (process.stdout.readline(), process.stdout.readline()) == ("\n", "c\n")
                answer = api.post(f"{path}/drafts/d", json={"delta": "Hm"})
                assert answer.status_code == 204
                assert process.stdout.readline().split() == ["draft", "Hm"]
                api.delete(path)
                assert process.stdout.readline().split() == ["deleted"]
                # It comes back, and stops at the 404.
                assert process.wait(20) == 0
            finally:
                process.kill()
