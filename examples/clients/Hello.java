// java -cp megaki-client.jar Hello.java 127.0.0.1 6363

import dev.megaki.FileSessionStore;
import dev.megaki.HttpRequest;
import dev.megaki.HttpResponse;
import dev.megaki.MegakiClient;
import dev.megaki.ServerKey;
import java.io.File;

public final class Hello {
    public static void main(String[] args) throws Exception {
        ServerKey key = ServerKey.read(new File("server.key.pub"));
        try (MegakiClient client = MegakiClient.to(args[0], Integer.parseInt(args[1]), key)
                .sessions(new FileSessionStore(new File("session-java"))).build()) {
            System.out.println(new String(client.send("hello".getBytes("UTF-8")), "UTF-8"));
            HttpResponse page = client.request(HttpRequest.get("/"));
            System.out.print(page.status() + " " + new String(page.body(), "UTF-8"));
        }
    }
}
