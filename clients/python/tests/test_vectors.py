"""Runs the protocol's test vectors that are for clients: see vectors/README.md."""

import json
import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))

from cryptography.hazmat.primitives import serialization  # noqa: E402

from megaki import MegakiError, ProtocolError, Refused, ResponseTooLong, ServerKey, errors, packets  # noqa: E402

VECTORS = Path(os.environ.get("MEGAKI_VECTORS", str(HERE.parents[2] / "vectors"))) / "v1"
DUE = {
    "client-syn-ack": (packets.SYN_ACK,),
    "client-ack-ack": (packets.ACK_ACK,),
    "client-rstor-ack": (packets.RSTOR_ACK, packets.REQ_REHS),
    "client-message": (packets.MSG,),
}


class Replayed(Exception):
    pass


class Incomplete(Exception):
    pass


def framed(packet: bytes, due: "tuple[int, ...]", limit: int = packets.LIMIT) -> None:
    """Checks that the bytes are exactly one packet."""
    size = packets.frame_size(packet, due, limit)
    if size == 0 or len(packet) < size:
        raise Incomplete
    if len(packet) > size:
        raise errors.ProtocolError("bytes after the packet")


def received(packet: bytes, key: bytes, seen: packets.Seen, limit: int) -> bytes:
    framed(packet, (packets.MSG,), limit)
    plain = packets.unseal(key, packet)
    if not seen.add(packet):
        raise Replayed
    return plain


class Vectors(unittest.TestCase):
    def run_file(self, name: str) -> int:
        file = json.loads((VECTORS / (name + ".json")).read_text())
        count = 0
        for v in file["tests"]:
            operation = getattr(self, "op_" + v["operation"].replace("-", "_"), None)
            if operation is None or v.get("side") == "server" or v.get("state", "client").startswith("server"):
                continue
            count += 1
            with self.subTest(v["name"]):
                try:
                    result = operation(v, file) or "ok"
                except Incomplete:
                    result = "incomplete"
                except ResponseTooLong:
                    result = "too-long"
                except Refused as e:
                    self.assertEqual(packets.refusal_code(e), v["code"])
                    result = "server-error"
                except (ProtocolError, ValueError):
                    # They aren't distinguished: a client closes for each.
                    result = {"crypto": "crypto", "malformed": "malformed", "bad-key": "bad-key"}.get(v["expect"], "refused")
                self.assertEqual(result, v.get("expect", "ok"))
        return count

    def op_public_key(self, v: dict, _: dict) -> None:
        packed = bytes.fromhex(v["modulus"] + v["exponent"])
        self.assertEqual(bytes(ServerKey(packed)), packed)

    def op_derive(self, v: dict, _: dict) -> None:
        key = packets.derive(bytes.fromhex(v["server_symmetric"]), bytes.fromhex(v["client_symmetric"]))
        self.assertEqual(key.hex(), v["key"])

    def op_frame(self, v: dict, _: dict) -> "str | None":
        size = packets.frame_size(bytes.fromhex(v.get("packet", "")), DUE[v["state"]], v["limit"])
        if size == 0:
            return "incomplete"
        self.assertEqual(size, v["size"])
        return None

    def op_open_syn_ack(self, v: dict, file: dict) -> None:
        packet = bytes.fromhex(v.get("packet", ""))
        framed(packet, (packets.SYN_ACK,))
        own = serialization.load_pem_private_key(file["keys"]["client"].encode(), None)
        token, half = packets.open_syn_ack(packet, bytes.fromhex(v["ephemeral_key"]), own)
        self.assertEqual((token.hex(), half.hex()), (v["token"], v["server_symmetric"]))

    def op_open_message(self, v: dict, _: dict) -> None:
        plain = received(bytes.fromhex(v.get("packet", "")), bytes.fromhex(v["key"]), packets.Seen(), v["limit"])
        self.assertEqual(plain.hex(), v.get("plaintext", ""))

    def op_open_rstor_ack(self, v: dict, _: dict) -> "str | None":
        packet = bytes.fromhex(v.get("packet", ""))
        framed(packet, (packets.RSTOR_ACK, packets.REQ_REHS))
        if packet[5] == packets.REQ_REHS:
            return "handshake-needed"
        mid = packets.derive(bytes.fromhex(v["key"]), bytes.fromhex(v["client_augment"]))
        self.assertEqual(packets.derive(mid, packets.unseal(mid, packet)).hex(), v["new_key"])
        return None

    def op_session(self, v: dict, _: dict) -> str:
        seen = packets.Seen()
        for step in v["steps"]:
            packet = bytes.fromhex(step["packet"])
            try:
                if step.get("sent"):
                    if not seen.add(packet):
                        raise Replayed
                else:
                    plain = received(packet, bytes.fromhex(v["key"]), seen, v["limit"])
                    self.assertEqual(plain.hex(), step.get("plaintext", ""))
                result = "ok"
            except Replayed:
                result = "replay"
            except MegakiError:
                result = step["expect"] if step["expect"] in ("crypto", "malformed") else "refused"
            self.assertEqual(result, step["expect"])
        return v.get("expect", "ok")

    def test_keys(self) -> None:
        self.assertGreater(self.run_file("keys"), 10)

    def test_private_key_is_refused(self) -> None:
        file = json.loads((VECTORS.parent / "v1-flow.json").read_text())
        public, private = file["server_public_key_pem"], file["server_private_key_pem"]
        ServerKey(public)
        for pem in (private, private + public, public + private):
            with self.assertRaisesRegex(ValueError, "private key"):
                ServerKey(pem)

    def test_frames(self) -> None:
        self.assertGreater(self.run_file("frames"), 50)

    def test_handshake(self) -> None:
        self.assertGreater(self.run_file("handshake"), 10)

    def test_messages(self) -> None:
        self.assertGreater(self.run_file("messages"), 20)

    def test_resumption(self) -> None:
        self.assertGreater(self.run_file("resumption"), 5)

    def test_replays(self) -> None:
        self.assertGreater(self.run_file("replays"), 2)


if __name__ == "__main__":
    unittest.main()
