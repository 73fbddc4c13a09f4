"""docs/gateway.md, word for word: its commands are run by one shell."""

import os
import re
import subprocess

from harness import program
from harness.program import BINARY, ROOT
from harness.tls_gateway import make_pair

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END = "end-of-block"


def guide():
    return (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8")


def test_the_guide_to_the_gateway_runs_as_it_is_written(tmp_path, find_peer_program,
                                                        private_namespaces):
    find_peer_program("curl")
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "hauberk").symlink_to(os.path.abspath(BINARY))
    blocks = BLOCK.findall(guide())
    script = "set -m\n" + "".join(f"{block}echo {END}\n" for block in blocks)
    folder = tmp_path / "work"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-e"], input=script, cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env=os.environ | {"PATH": f"{shims}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made, checked, asked, ended, rest = done.stdout.split(f"{END}\n")
    assert (made, rest) == ("", "")
    assert "OK" in checked
    assert "127.0.0.1" in asked, "the service says who called it"
    assert "ssl.handshake: 1" in asked
    assert "drained" in ended


def snippet(key, page="gateway"):
    """A page's one piece of YAML that begins with that key."""
    whole = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    (found,) = [text for text in YAML.findall(whole) if text.startswith(f"{key}:")]
    return found


def test_the_provider_of_its_page_fits_in_the_place_of_the_guides_key(tmp_path):
    whole = re.search(r"<<'END'\n(.*?)^END$", guide(), re.MULTILINE | re.DOTALL).group(1)
    inline = re.search(r"^( +)private_key: .*\n", whole, re.MULTILINE)
    provider = snippet("private_key_provider", "providers").splitlines()
    text = whole.replace(inline[0], "".join(f"{inline[1]}{line}\n" for line in provider))
    make_pair(tmp_path, "cert")
    (tmp_path / "cert.key").rename(tmp_path / "key.pem")
    (tmp_path / "gateway.yaml").write_text(text)
    done = program.hauberk("gateway", "-c", "gateway.yaml", "--mode", "validate", cwd=tmp_path)
    needs_another_processor = "Multi-buffer CPU instructions not available." in done.stderr
    assert (done.returncode == 0) != needs_another_processor, done.stderr
    assert done.returncode == 0 or "cryptomb" in done.stderr


def test_the_guides_secrets_fit_into_its_configuration(tmp_path):
    whole = re.search(r"<<'END'\n(.*?)^END$", guide(), re.MULTILINE | re.DOTALL).group(1)
    reference, secret = snippet("tls_certificate_sds_secret_configs"), snippet("resources")
    inline = re.search(r"^ +tls_certificates:\n.*\n.*\n", whole, re.MULTILINE).group(0)
    indent = inline[: len(inline) - len(inline.lstrip())]
    text = whole.replace(inline, "".join(f"{indent}{line}\n" for line in reference.splitlines()))
    assert "sds.yaml" in text and "cert.pem" not in text
    (tmp_path / "tls").mkdir()
    make_pair(tmp_path / "tls", "tls")
    (tmp_path / "tls" / "tls.pem").rename(tmp_path / "tls" / "tls.crt")
    (tmp_path / "sds.yaml").write_text(secret)
    (tmp_path / "gateway.yaml").write_text(text)
    done = program.hauberk("gateway", "-c", "gateway.yaml", "--mode", "validate", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "tls" / "tls.key").unlink()
    done = program.hauberk("gateway", "-c", "gateway.yaml", "--mode", "validate", cwd=tmp_path)
    assert "tls/tls.key" in done.stderr


def test_the_guides_health_checks_fit_into_its_cluster(tmp_path):
    whole = re.search(r"<<'END'\n(.*?)^END$", guide(), re.MULTILINE | re.DOTALL).group(1)
    checks = snippet("health_checks")
    text = whole + "".join(f"    {line}\n" for line in checks.splitlines())
    make_pair(tmp_path, "cert")
    (tmp_path / "gateway.yaml").write_text(text.replace("key.pem", "cert.key"))
    done = program.hauberk("gateway", "-c", "gateway.yaml", "--mode", "validate", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
