package dev.megaki;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import dev.megaki.MegakiException.Reason;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.junit.Test;

/** The vectors that all implementations share (vectors/README.md): those for clients. */
public class VectorsTest {
    private final Memory wire = new Memory();
    private final Connection connection = new Connection(wire, 1 << 20);

    private interface Work {
        void run() throws Exception;
    }

    /** Runs a test, and returns what it expects to come of it: ok, or a reason. */
    private static String outcome(Work work) throws Exception {
        try {
            work.run();
            return "ok";
        } catch (MegakiException e) {
            return e.getReason().toString();
        } catch (java.io.EOFException e) {
            return "IO";
        } catch (GeneralSecurityException e) {
            return "PROTOCOL"; // as Connection reports it
        }
    }

    private static String expected(Map<String, Object> test) {
        String e = (String) test.get("expect");
        switch (e) {
            case "ok":
                return "ok";
            case "incomplete":
                return "IO";
            case "too-long":
                return "RESPONSE_TOO_LONG";
            case "server-error":
                String code = (String) test.get("code");
                return code.equals("0100") ? "INCOMPATIBLE_VERSIONS"
                        : code.equals("0200") ? "SERVICE_UNAVAILABLE" : code.equals("03ff") ? "SERVER_BLACKLISTED" : "UNKNOWN_ERROR";
            default:
                return "PROTOCOL";
        }
    }

    @SuppressWarnings("unchecked")
    private int run(String file) throws Exception {
        Map<String, Object> json = Json.read(file);
        int ran = 0;
        for (Object o : (List<Object>) json.get("tests")) {
            Map<String, Object> test = (Map<String, Object>) o;
            try {
                if (runTest(test, (Map<String, Object>) json.get("keys"))) {
                    ran++;
                }
            } catch (AssertionError e) {
                throw new AssertionError(file + ": " + test.get("name") + ": " + e.getMessage(), e);
            }
        }
        return ran;
    }

    private boolean runTest(Map<String, Object> test, Map<String, Object> keys) throws Exception {
        switch ((String) test.get("operation")) {
            case "public-key":
                publicKey(test);
                return true;
            case "derive":
                assertArrayEquals(Json.hex(test.get("key")),
                        Crypto.derive(Json.hex(test.get("server_symmetric")), Json.hex(test.get("client_symmetric"))));
                return true;
            case "frame":
                return frame(test);
            case "open-syn-ack":
                openSynAck(test, TestKeys.of((String) keys.get("client")));
                return true;
            case "open-message":
                return "client".equals(test.get("side")) && openMessage(test);
            case "open-rstor-ack":
                openRstorAck(test);
                return true;
            case "session":
                return "client".equals(test.get("side")) && session(test);
            default:
                return false; // for servers
        }
    }

    private static void publicKey(Map<String, Object> test) {
        byte[] modulus = Json.hex(test.get("modulus"));
        byte[] exponent = Json.hex(test.get("exponent"));
        byte[] both = Arrays.copyOf(modulus, modulus.length + exponent.length);
        System.arraycopy(exponent, 0, both, modulus.length, exponent.length);
        boolean ok = true;
        try {
            assertArrayEquals(both, ServerKey.of(both).toBytes());
        } catch (IllegalArgumentException e) {
            ok = false;
        }
        assertEquals(test.get("expect").equals("ok"), ok);
    }

    @Test
    public void publicKeysInPem() throws Exception {
        Map<String, Object> flow = Json.read("v1-flow.json");
        String pkix = (String) flow.get("server_public_key_pem");
        String secret = (String) flow.get("server_private_key_pem");
        ServerKey key = ServerKey.ofPem(pkix);
        byte[] der = Base64.getMimeDecoder().decode(pkix.replaceAll("-----[A-Z ]+-----", ""));
        String pkcs1 = "-----BEGIN RSA PUBLIC KEY-----\r\n"
                + Base64.getMimeEncoder().encodeToString(Arrays.copyOfRange(der, 24, der.length)) + "\r\n-----END RSA PUBLIC KEY-----\r\n";
        assertArrayEquals(key.toBytes(), ServerKey.ofPem(pkcs1).toBytes());
        for (String pem : new String[] {secret, secret + pkix, pkix + secret, pkcs1 + secret}) {
            try {
                ServerKey.ofPem(pem);
                fail();
            } catch (IllegalArgumentException e) {
                assertTrue(e.getMessage().contains("private key"));
            }
        }
    }

    private boolean frame(Map<String, Object> test) throws Exception {
        String state = (String) test.get("state");
        if (!state.startsWith("client-") || !"1048576".equals(test.get("limit"))) {
            return false;
        }
        String expected = expected(test);
        byte[] packet = Json.hex(test.get("packet"));
        wire.feed(expected.equals("IO") ? packet : Arrays.copyOf(packet, packet.length + 2 * Packets.LIMIT));
        Session s = new Session(new byte[Packets.TOKEN], new byte[Packets.KEY]);
        String got = outcome(() -> {
            switch (state) {
                case "client-syn-ack":
                    byte[] p = connection.readPacket(Packets.SYN_ACK, Packets.SYN_ACK_SIZE);
                    assertEquals(Packets.SYN_ACK_SIZE, p.length);
                    break;
                case "client-ack-ack":
                    connection.readPacket(Packets.ACK_ACK, Packets.HEAD);
                    break;
                case "client-rstor-ack":
                    connection.resume(s, 1000);
                    break;
                default:
                    connection.beginForTest(s);
                    connection.receiveForTest(1000);
            }
        });
        if (expected.equals("ok")) {
            assertTrue(got, !got.equals("IO"));
            assertEquals(test.get("size"), "" + wire.at);
        } else {
            boolean isMessage = state.equals("client-message");
            assertEquals(expected.equals("RESPONSE_TOO_LONG") && !isMessage ? "PROTOCOL" : expected, got);
            assertTrue(expected.equals("IO") || wire.at <= Packets.RSTOR_SIZE); // judged by the header
        }
        return true;
    }

    private void openSynAck(Map<String, Object> test, KeyPair key) throws Exception {
        wire.feed(Json.hex(test.get("packet")));
        assertEquals(expected(test), outcome(() -> {
            byte[] p = connection.readPacket(Packets.SYN_ACK, Packets.SYN_ACK_SIZE);
            byte[] secret = Connection.openSynAck(p, Json.hex(test.get("ephemeral_key")), key);
            assertArrayEquals(Json.hex(test.get("token")), Packets.part(secret, 0, Packets.TOKEN));
            assertArrayEquals(Json.hex(test.get("server_symmetric")), Packets.part(secret, Packets.TOKEN, Packets.KEY));
        }));
    }

    private boolean openMessage(Map<String, Object> test) throws Exception {
        if (!"1048576".equals(test.get("limit"))) {
            return false;
        }
        byte[] packet = Json.hex(test.get("packet"));
        wire.feed(packet);
        connection.beginForTest(new Session(token(packet), Json.hex(test.get("key"))));
        assertEquals(expected(test), outcome(() -> assertArrayEquals(Json.hex(test.get("plaintext")), connection.receiveForTest(1000))));
        return true;
    }

    /** The session's token is the one that the packet carries. */
    private static byte[] token(byte[] packet) {
        return packet.length >= 26 ? Packets.part(packet, 10, Packets.TOKEN) : new byte[Packets.TOKEN];
    }

    private void openRstorAck(Map<String, Object> test) throws Exception {
        byte[] packet = Json.hex(test.get("packet"));
        Session old = new Session(token(packet), Json.hex(test.get("key")));
        wire.feed(packet);
        if (test.get("expect").equals("handshake-needed")) {
            assertEquals(false, connection.resume(old, 1000));
            return;
        }
        assertEquals(expected(test), outcome(() -> {
            byte[] p = connection.readPacket(Packets.RSTOR_ACK, Packets.RSTOR_SIZE);
            assertArrayEquals(Json.hex(test.get("new_key")), Connection.openRstorAck(p, old, Json.hex(test.get("client_augment"))));
        }));
    }

    @SuppressWarnings("unchecked")
    private boolean session(Map<String, Object> test) throws Exception {
        byte[] token = Json.hex(test.get("token"));
        connection.beginForTest(new Session(token, Json.hex(test.get("key"))));
        for (Object o : (List<Object>) test.get("steps")) {
            Map<String, Object> step = (Map<String, Object>) o;
            byte[] packet = Json.hex(step.get("packet"));
            if (step.get("sent") != null) {
                assertTrue(connection.sentForTest(packet));
                continue;
            }
            System.arraycopy(token, 0, packet, 10, token.length); // else it would be refused for that
            wire.feed(packet);
            assertEquals(expected(step), outcome(() -> assertArrayEquals(Json.hex(step.get("plaintext")), connection.receiveForTest(1000))));
        }
        return true;
    }

    @Test
    public void allVectorsForClients() throws Exception {
        assertTrue(run("v1/keys.json") >= 15);
        assertTrue(run("v1/frames.json") >= 70);
        assertTrue(run("v1/handshake.json") >= 25);
        assertTrue(run("v1/messages.json") >= 30);
        assertTrue(run("v1/resumption.json") >= 15);
        assertTrue(run("v1/replays.json") >= 5);
    }

    /** The ACK and the requests of the recording, to the byte. */
    @Test
    @SuppressWarnings("unchecked")
    public void theRecordingIsSealedToTheByte() throws Exception {
        Map<String, Object> json = Json.read("v1-flow.json");
        Map<String, Object> handshake = (Map<String, Object>) json.get("handshake");
        byte[] ack = packet(handshake, 2);
        byte[] half = Json.hex(handshake.get("server_symmetric"));
        byte[] secret = new byte[Packets.SECRET];
        Crypto.cbc(javax.crypto.Cipher.DECRYPT_MODE, half, Packets.part(ack, 54, 16), ack, 70, secret.length, secret, 0);
        byte[] clientHalf = Packets.part(secret, 16, 32);
        assertArrayEquals(ack, Connection.sealAck(Packets.part(secret, 0, 16), half, clientHalf,
                Json.hex(handshake.get("ephemeral_key")), Packets.part(ack, 54, 16)));
        byte[] master = Json.hex(handshake.get("master_key"));
        assertArrayEquals(master, Crypto.derive(half, clientHalf));
        int count = 0;
        for (Object o : (List<Object>) json.get("messages")) {
            Map<String, Object> message = (Map<String, Object>) o;
            byte[] request = packet(message, 0);
            byte[] plain = Json.hex(message.get("request"));
            byte[] all = new byte[request.length - Packets.MSG_HEAD];
            Crypto.cbc(javax.crypto.Cipher.DECRYPT_MODE, master, Packets.part(request, 58, 16), request, 74, all.length, all, 0);
            byte[] nonce = Arrays.copyOf(Packets.part(request, 58, 16), 32);
            System.arraycopy(all, plain.length, nonce, 16, all.length - plain.length);
            assertArrayEquals(request, Crypto.seal(Packets.MSG, token(request), master, nonce, plain));
            count++;
        }
        assertTrue(count >= 7);
    }

    @SuppressWarnings("unchecked")
    private static byte[] packet(Map<String, Object> from, int i) {
        return Json.hex(((Map<String, Object>) ((List<Object>) from.get("packets")).get(i)).get("hex"));
    }

    /** What the server opens of a SYN is what the client has sealed. */
    @Test
    public void aSynOpensWithTheServersKey() throws Exception {
        KeyPair server = TestKeys.of((String) Json.read("v1-flow.json").get("server_private_key_pem"));
        KeyPair own = Crypto.newKey();
        byte[] ephemeral = Crypto.random(32);
        ServerKey pinned = ServerKey.ofPem((String) Json.read("v1-flow.json").get("server_public_key_pem"));
        assertArrayEquals(Json.hex(Json.read("v1-flow.json").get("server_key_file")), pinned.toBytes());
        byte[] syn = Connection.sealSyn(pinned, (java.security.interfaces.RSAPublicKey) own.getPublic(), ephemeral);
        byte[] first = Crypto.decryptOaep(server.getPrivate(), Packets.part(syn, 38, 256));
        byte[] second = Crypto.decryptOaep(server.getPrivate(), Packets.part(syn, 294, 256));
        byte[] plain = Arrays.copyOf(first, 294);
        assertEquals(214, first.length);
        assertEquals(80, second.length);
        for (int i = 0; i < 80; i++) {
            plain[214 + i] = (byte) (second[i] ^ plain[i]);
        }
        assertArrayEquals(Packets.part(syn, 6, 32), Crypto.sha256(plain));
        assertEquals(((java.security.interfaces.RSAPublicKey) own.getPublic()).getModulus(), new BigInteger(1, Packets.part(plain, 0, 256)));
        assertArrayEquals(ephemeral, Packets.part(plain, 260, 32));
        assertArrayEquals(new byte[] {0x0A, (byte) 0xFF}, Packets.part(plain, 292, 2));
    }

    /** Every strict prefix and every flipped bit of a response. */
    @Test
    public void everyChangeOfAResponseFails() throws Exception {
        Session s = new Session(Crypto.random(16), Crypto.random(32));
        byte[] plain = new byte[20];
        byte[] good = Crypto.seal(Packets.MSG, s.token, s.key, Crypto.newNonce(), plain);
        for (int n = 0; n < good.length; n++) {
            connection.beginForTest(s);
            wire.feed(Arrays.copyOf(good, n));
            assertEquals("IO", outcome(() -> connection.receiveForTest(1000)));
        }
        for (int bit = 0; bit < good.length * 8; bit++) {
            byte[] bad = good.clone();
            bad[bit / 8] ^= (byte) (1 << bit % 8);
            long length = Packets.getInt(bad, 6);
            if (length != 20 && length > 16 && length <= 32) {
                continue; // what v1 can't see
            }
            connection.beginForTest(s);
            wire.feed(bad);
            String got = outcome(() -> connection.receiveForTest(1000));
            assertTrue(bit + ": " + got, got.equals("PROTOCOL") || bit / 8 >= 6 && bit / 8 < 10);
            assertTrue(!got.equals("ok"));
        }
        connection.beginForTest(s);
        wire.feed(good);
        assertArrayEquals(plain, connection.receiveForTest(1000));
        wire.feed(good); // and not twice
        assertEquals("PROTOCOL", outcome(() -> connection.receiveForTest(1000)));
    }

    /** A RSTOR-ACK with the right MAC, but for another session. */
    @Test
    public void aRstorAckWithAnotherTokenFails() throws Exception {
        Session old = new Session(Crypto.random(16), Crypto.random(32));
        byte[] augment = Crypto.random(32);
        byte[] mid = Crypto.derive(old.key, augment);
        byte[] good = Crypto.seal(Packets.RSTOR_ACK, old.token, mid, Crypto.newNonce(), new byte[32]);
        byte[] bad = Crypto.seal(Packets.RSTOR_ACK, Crypto.random(16), mid, Crypto.newNonce(), new byte[32]);
        assertEquals("ok", outcome(() -> Connection.openRstorAck(good, old, augment)));
        assertEquals("PROTOCOL", outcome(() -> Connection.openRstorAck(bad, old, augment)));
    }

    private static byte[] synAck(KeyPair own, byte[] ephemeral, byte[] outer, byte[] secret) throws Exception {
        byte[] p = new byte[Packets.SYN_ACK_SIZE];
        Packets.putHead(p, Packets.SYN_ACK);
        System.arraycopy(outer, 0, p, 38, 16);
        System.arraycopy(Crypto.encryptOaep(own.getPublic(), secret, 0, secret.length), 0, p, 54, 256);
        System.arraycopy(Crypto.mac(ephemeral, p, 54, 256), 0, p, 6, 32);
        return p;
    }

    /** A code is filled with zeros; anything else, a good token among it, is no known error. */
    @Test
    public void onlyWholeCodesAreKnown() throws Exception {
        KeyPair own = Crypto.newKey();
        byte[] ephemeral = Crypto.random(32);
        byte[] mark = new byte[16];
        Arrays.fill(mark, (byte) 0xEE);
        for (int last : new int[] {0, 1}) {
            byte[] inner = new byte[48];
            System.arraycopy(mark, 0, inner, 0, 16);
            inner[16] = 2;
            inner[47] = (byte) last;
            byte[] outer = new byte[48];
            outer[0] = 2;
            outer[15] = (byte) last;
            String expected = last == 0 ? "SERVICE_UNAVAILABLE" : "UNKNOWN_ERROR";
            assertEquals(expected, outcome(() -> Connection.openSynAck(synAck(own, ephemeral, new byte[16], inner), ephemeral, own)));
            assertEquals(expected, outcome(() -> Connection.openSynAck(synAck(own, ephemeral, mark, outer), ephemeral, own)));
        }
        byte[] secret = Crypto.random(48);
        assertEquals("UNKNOWN_ERROR", outcome(() -> Connection.openSynAck(synAck(own, ephemeral, mark, secret), ephemeral, own)));
    }

    @Test
    public void aLargeExponentIsRefused() throws Exception {
        byte[] key = Json.hex(Json.read("v1-flow.json").get("server_key_file"));
        Packets.putInt(key, 256, 0x7FFFFFFF);
        assertArrayEquals(key, ServerKey.of(key).toBytes());
        Packets.putInt(key, 256, 0x80000001);
        try {
            ServerKey.of(key);
        } catch (IllegalArgumentException e) {
            return;
        }
        fail();
    }

    @Test
    public void aConnectionThatFailedIsOfNoUse() throws Exception {
        Session s = new Session(Crypto.random(16), Crypto.random(32));
        connection.beginForTest(s);
        wire.feed(new byte[3]);
        try {
            connection.roundTrip(new byte[] {1}, 1000);
            fail();
        } catch (MegakiException e) {
            assertEquals(Reason.IO, e.getReason());
            assertTrue(e.mayHaveArrived());
        }
        assertEquals("CLOSED", outcome(() -> connection.roundTrip(new byte[] {1}, 1000)));
        assertTrue(!connection.isUsable());
    }

    @Test
    public void aMessageSentBackFails() throws Exception {
        Session s = new Session(Crypto.random(16), Crypto.random(32));
        Memory mirror = new Memory() {
            @Override
            public void write(byte[] p) {
                feed(p);
            }
        };
        Connection c = new Connection(mirror, 10);
        c.beginForTest(s);
        assertEquals("PROTOCOL", outcome(() -> c.roundTrip(new byte[] {1}, 1000)));
    }

    @Test
    public void theSetOfMacsHoldsWhatWasPutIntoIt() {
        SeenMacs seen = new SeenMacs();
        byte[] mac = new byte[32];
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 100000; i++) {
                Packets.putInt(mac, 0, i);
                assertEquals(round == 0, seen.add(mac, 0));
            }
        }
        assertEquals(100000, seen.size());
    }
}
