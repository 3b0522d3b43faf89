// java -Djava.library.path=. -cp sazukari.jar HelloJni.java 127.0.0.1 6363

import com.nmi.sazukari.SazukariConnection;
import com.nmi.sazukari.SazukariServerKey;
import java.io.File;

public final class HelloJni {
    public static void main(String[] args) throws Exception {
        SazukariServerKey key = SazukariServerKey.read(new File("server.key.pub"));
        try (SazukariConnection c = SazukariConnection.connect(args[0], Integer.parseInt(args[1]), key, null, 10000)) {
            System.out.println(new String(c.send("hello".getBytes("UTF-8")), "UTF-8"));
        }
    }
}
