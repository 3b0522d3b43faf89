# python3 hello.py 127.0.0.1 6363
import sys

from megaki import Client, ServerKey

host, port = sys.argv[1:]
with Client(host, int(port), ServerKey.read("server.key.pub"), session_file="session") as client:
    print(client.send(b"hello").decode())
    page = client.get("/")
    print(page.status_code, page.text, end="")
