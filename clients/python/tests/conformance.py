"""The program that `sazukari conformance` tests the client with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from megaki import Client, MegakiError, ServerKey  # noqa: E402


def main() -> int:
    host, port, key, session, timeout = sys.argv[1:]
    seconds = int(timeout) / 1000
    client = Client(host, int(port), ServerKey.read(key), session_file=session, handshake_timeout=seconds, message_timeout=seconds)
    with client:
        while True:
            size = sys.stdin.buffer.read(4)
            if not size:
                return 0
            try:
                response = client.send(sys.stdin.buffer.read(int.from_bytes(size, "big")))
            except MegakiError as e:
                print(e, file=sys.stderr)
                return e.code
            sys.stdout.buffer.write(len(response).to_bytes(4, "big") + response)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
