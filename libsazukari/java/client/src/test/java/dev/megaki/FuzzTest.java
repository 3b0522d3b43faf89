package dev.megaki;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import dev.megaki.MegakiException.Reason;
import java.io.EOFException;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.junit.Test;

/**
 * Parsers with changed inputs, as many as the property fuzz has, and a fifth of that where
 * each takes a connection. The seed is printed when one fails. Nothing may escape but the
 * exceptions that are documented.
 */
public class FuzzTest {
    private static final int INPUTS = Integer.getInteger("fuzz", 2000);
    private static final byte[] TOKEN = new byte[Packets.TOKEN];
    private static final byte[] KEY = new byte[Packets.KEY];

    private final long seed = Long.getLong("seed", System.nanoTime());
    private final Random random = new Random(seed);

    private interface Target {
        void run(byte[] input) throws Exception;
    }

    private void fuzz(int inputs, byte[][] seeds, Target target) {
        for (int i = 0; i < inputs; i++) {
            byte[] input = mutate(seeds[random.nextInt(seeds.length)]);
            try {
                target.run(input);
            } catch (Throwable e) {
                throw new AssertionError("seed " + seed + ", input " + i + ": " + Arrays.toString(input), e);
            }
        }
    }

    /** Changes, inserts, removes or repeats bytes, some times. */
    private byte[] mutate(byte[] from) {
        byte[] p = from.clone();
        for (int n = random.nextInt(4); n >= 0; n--) {
            int at = p.length == 0 ? 0 : random.nextInt(p.length);
            int size = Math.min(p.length - at, 1 + random.nextInt(8));
            switch (random.nextInt(6)) {
                case 0:
                    if (p.length > 0) {
                        p[at] ^= 1 << random.nextInt(8);
                    }
                    break;
                case 1:
                    if (p.length > 0) {
                        p[at] = (byte) "\r\n :\0\u007f\u00ff019-".charAt(random.nextInt(11));
                    }
                    break;
                case 2:
                    p = join(Arrays.copyOf(p, at), Arrays.copyOfRange(p, at + size, p.length));
                    break;
                case 3:
                    p = join(Arrays.copyOf(p, at + size), Arrays.copyOfRange(p, at, p.length));
                    break;
                case 4:
                    p = Arrays.copyOf(p, at);
                    break;
                default:
                    byte[] more = new byte[1 + random.nextInt(8)];
                    random.nextBytes(more);
                    p = join(join(Arrays.copyOf(p, at), more), Arrays.copyOfRange(p, at, p.length));
            }
        }
        return p;
    }

    private static byte[] join(byte[] a, byte[] b) {
        byte[] out = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, out, a.length, b.length);
        return out;
    }

    private static byte[] latin1(String s) {
        return s.getBytes(HttpRequest.LATIN_1);
    }

    @Test
    public void httpResponses() {
        byte[][] seeds = {
            latin1("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"),
            latin1("HTTP/1.0 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"),
            latin1("HTTP/1.1 304 x\r\nContent-Length: 99999999999\r\n\r\n"),
        };
        fuzz(INPUTS, seeds, input -> {
            try {
                HttpResponse r = HttpResponse.parse(input, false);
                assertTrue(r.status() >= 200 && r.status() <= 599);
                String length = r.header("Content-Length");
                if (r.status() != 204 && r.status() != 304) {
                    assertEquals(length == null ? 0 : Integer.parseInt(length), r.body().length);
                }
            } catch (MegakiException e) {
                assertEquals(Reason.PROTOCOL, e.getReason());
            }
        });
    }

    @Test
    public void serverKeys() {
        String base64 = java.util.Base64.getMimeEncoder().encodeToString(Crypto.newKey().getPublic().getEncoded());
        String pem = "-----BEGIN PUBLIC KEY-----\n" + base64 + "\n-----END PUBLIC KEY-----\n";
        byte[][] seeds = {latin1(pem), ServerKey.ofPem(pem).toBytes()};
        fuzz(INPUTS, seeds, input -> {
            try {
                byte[] again = ServerKey.of(input).toBytes();
                assertArrayEquals(again, ServerKey.of(again).toBytes());
            } catch (IllegalArgumentException e) {
                // It is no key.
            }
        });
    }

    /** A server that resumes any session, and then sends what it is given. */
    private static final class Server extends Memory {
        private byte[] master;

        @Override
        public void write(byte[] p) throws IOException {
            if (p[5] != Packets.RSTOR) {
                return;
            }
            try {
                byte[] mid = Crypto.derive(KEY, Crypto.open(p, KEY));
                byte[] augment = new byte[Packets.KEY];
                master = Crypto.derive(mid, augment);
                feed(Crypto.seal(Packets.RSTOR_ACK, TOKEN, mid, Crypto.newNonce(), augment));
            } catch (java.security.GeneralSecurityException e) {
                throw new IOException(e);
            }
        }
    }

    @Test
    public void messages() {
        fuzz(INPUTS / 5, new byte[][] {latin1("x"), latin1("sixteen bytes ok"), new byte[100]}, plain -> {
            Server server = new Server();
            Connection c = new Connection(server, 100);
            assertTrue(c.resume(new Session(TOKEN, KEY), 1000));
            byte[] genuine = Crypto.seal(Packets.MSG, TOKEN, server.master, Crypto.newNonce(), plain);
            byte[] changed = mutate(genuine);
            server.feed(changed);
            try {
                byte[] got = c.roundTrip(new byte[] {1}, 1000);
                // What the MAC covers is as it was; the length may be another one within the last block.
                int end = Packets.MSG_HEAD + Packets.padded(plain.length);
                assertArrayEquals(Arrays.copyOfRange(genuine, 26, end), Arrays.copyOfRange(changed, 26, end));
                assertEquals(Packets.padded(plain.length), Packets.padded(got.length));
            } catch (MegakiException e) {
                assertTrue(e.mayHaveArrived());
            }
        });
    }

    @Test
    public void resumptions() {
        byte[] augment = new byte[Packets.KEY];
        fuzz(INPUTS / 5, new byte[][] {augment}, ignored -> {
            final byte[][] sent = new byte[2][];
            Memory server = new Memory() {
                @Override
                public void write(byte[] p) throws IOException {
                    try {
                        byte[] mid = Crypto.derive(KEY, Crypto.open(p, KEY));
                        sent[0] = Crypto.seal(Packets.RSTOR_ACK, TOKEN, mid, Crypto.newNonce(), augment);
                        sent[1] = mutate(sent[0]);
                        feed(sent[1]);
                    } catch (java.security.GeneralSecurityException e) {
                        throw new EOFException(e.getMessage());
                    }
                }
            };
            try {
                if (new Connection(server, 100).resume(new Session(TOKEN, KEY), 1000)) {
                    assertArrayEquals(sent[0], Arrays.copyOf(sent[1], sent[0].length));
                } else if (sent[1][5] != Packets.REQ_REHS) {
                    fail("no REQ-REHS was sent");
                }
            } catch (MegakiException e) {
                assertTrue(e.getReason() == Reason.IO || e.getReason() == Reason.PROTOCOL);
            }
        });
    }
}
