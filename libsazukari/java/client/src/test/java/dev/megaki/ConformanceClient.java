package dev.megaki;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.TimeUnit;

/** The program that `sazukari conformance` tests the client with. */
public final class ConformanceClient {
    public static void main(String[] args) throws IOException {
        long millis = Long.parseLong(args[4]);
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        int code = 0;
        try (MegakiClient client = MegakiClient.to(args[0], Integer.parseInt(args[1]), ServerKey.read(new File(args[2])))
                .sessions(new FileSessionStore(new File(args[3])))
                .handshakeTimeout(millis, TimeUnit.MILLISECONDS)
                .messageTimeout(millis, TimeUnit.MILLISECONDS).build()) {
            for (;;) {
                byte[] message = new byte[in.readInt()];
                in.readFully(message);
                byte[] response = client.send(message);
                out.writeInt(response.length);
                out.write(response);
                out.flush();
            }
        } catch (EOFException e) {
            // No more messages.
        } catch (MegakiException e) {
            System.err.println(e.getMessage());
            code = number(e.getReason());
        }
        System.exit(code);
    }

    /** Returns the number that libsazukari has for a failure. */
    private static int number(MegakiException.Reason reason) {
        switch (reason) {
            case INCOMPATIBLE_VERSIONS:
                return 2;
            case SERVICE_UNAVAILABLE:
                return 3;
            case UNKNOWN_ERROR:
                return 4;
            case PROTOCOL:
                return 6;
            case IO:
                return 8;
            case SERVER_BLACKLISTED:
                return 10;
            case MESSAGE_SIZE:
                return 11;
            case RESPONSE_TOO_LONG:
                return 12;
            default:
                return 1;
        }
    }
}
