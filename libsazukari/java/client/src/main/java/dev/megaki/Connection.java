package dev.megaki;

import dev.megaki.MegakiException.Reason;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.interfaces.RSAPublicKey;
import java.util.Arrays;
import javax.crypto.Cipher;

/** A connection with a session on it. It is for one thread at a time, but for close. */
final class Connection {
    private static final byte[] VERSION = {0x0A, (byte) 0xFF};
    private static final byte ERROR_MARK = (byte) 0xEE;

    private final Transport wire;
    private final int maxMessages;
    private Session session;
    private SeenMacs seen;
    private int count;
    private boolean broken = true; // until a session is begun

    Connection(Transport wire, int maxMessages) {
        this.wire = wire;
        this.maxMessages = maxMessages;
    }

    Session session() {
        return session;
    }

    /** Reports whether a message may be sent. */
    boolean isUsable() {
        return !broken && count < maxMessages && !wire.isStale();
    }

    void close() {
        broken = true;
        wire.close();
    }

    private void begin(byte[] token, byte[] key) {
        session = new Session(token, key);
        seen = new SeenMacs();
        count = 0;
        broken = false;
    }

    /** Makes a new session. */
    void handshake(ServerKey serverKey, KeyPair own, int millis) throws MegakiException {
        broken = true;
        wire.allow(millis);
        byte[] ephemeral = Crypto.random(Packets.KEY);
        try {
            wire.write(sealSyn(serverKey, (RSAPublicKey) own.getPublic(), ephemeral));
            byte[] secret = openSynAck(readPacket(Packets.SYN_ACK, Packets.SYN_ACK_SIZE), ephemeral, own);
            byte[] token = Packets.part(secret, 0, Packets.TOKEN);
            byte[] serverHalf = Packets.part(secret, Packets.TOKEN, Packets.KEY);
            byte[] clientHalf = Crypto.random(Packets.KEY);
            wire.write(sealAck(token, serverHalf, clientHalf, ephemeral, Crypto.random(Packets.IV)));
            readPacket(Packets.ACK_ACK, Packets.HEAD);
            begin(token, Crypto.derive(serverHalf, clientHalf));
            Arrays.fill(secret, (byte) 0);
            Arrays.fill(serverHalf, (byte) 0);
            Arrays.fill(clientHalf, (byte) 0);
        } catch (IOException e) {
            throw failure(e);
        } catch (GeneralSecurityException e) {
            throw new MegakiException(Reason.PROTOCOL, "the handshake failed", e);
        } finally {
            Arrays.fill(ephemeral, (byte) 0);
        }
    }

    static byte[] sealSyn(ServerKey serverKey, RSAPublicKey own, byte[] ephemeral) throws GeneralSecurityException {
        byte[] plain = new byte[Packets.SYN_PLAIN];
        ServerKey.fill(own.getModulus(), plain, 0, Packets.RSA);
        ServerKey.fill(own.getPublicExponent(), plain, Packets.RSA, 4);
        System.arraycopy(ephemeral, 0, plain, 260, Packets.KEY);
        System.arraycopy(VERSION, 0, plain, 292, VERSION.length);
        byte[] syn = new byte[Packets.SYN_SIZE];
        Packets.putHead(syn, Packets.SYN);
        System.arraycopy(Crypto.sha256(plain), 0, syn, 6, 32);
        for (int i = Packets.OAEP_MAX; i < plain.length; i++) {
            plain[i] ^= plain[i - Packets.OAEP_MAX];
        }
        byte[] first = Crypto.encryptOaep(serverKey.toPublicKey(), plain, 0, Packets.OAEP_MAX);
        byte[] second = Crypto.encryptOaep(serverKey.toPublicKey(), plain, Packets.OAEP_MAX, plain.length - Packets.OAEP_MAX);
        System.arraycopy(first, 0, syn, 38, Packets.RSA);
        System.arraycopy(second, 0, syn, 294, Packets.RSA);
        Arrays.fill(plain, (byte) 0);
        return syn;
    }

    /** Checks a SYN-ACK, and returns the secret in it. Nothing is believed before the MAC. */
    static byte[] openSynAck(byte[] p, byte[] ephemeral, KeyPair own) throws MegakiException, GeneralSecurityException {
        if (!Crypto.same(Packets.part(p, 6, Packets.MAC), Crypto.mac(ephemeral, p, 54, Packets.RSA))) {
            throw new MegakiException(Reason.PROTOCOL,
                    "a SYN-ACK with a wrong MAC: the server doesn't have the pinned key, or someone changed the packet");
        }
        byte[] secret = Crypto.decryptOaep(own.getPrivate(), Packets.part(p, 54, Packets.RSA));
        if (secret.length != Packets.SECRET) {
            throw new MegakiException(Reason.PROTOCOL, "a SYN-ACK of a wrong size inside");
        }
        byte[] outer = Packets.part(p, 38, Packets.TOKEN);
        byte[] inner = Packets.part(secret, 0, Packets.TOKEN);
        // The reference's server marks the inner token, its client looks at the outer one.
        if (isErrorMark(inner)) {
            throw serverError(Packets.part(secret, Packets.TOKEN, Packets.KEY));
        }
        if (isErrorMark(outer)) {
            throw serverError(inner);
        }
        if (!Crypto.same(outer, inner)) {
            throw new MegakiException(Reason.PROTOCOL, "a SYN-ACK with two tokens: someone changed the packet");
        }
        return secret;
    }

    private static boolean isErrorMark(byte[] token) {
        for (byte b : token) {
            if (b != ERROR_MARK) {
                return false;
            }
        }
        return true;
    }

    /** Makes the error of a code, which is filled with zeros. */
    private static MegakiException serverError(byte[] code) {
        int number = (code[0] & 0xFF) << 8 | (code[1] & 0xFF);
        for (int i = 2; i < code.length; i++) {
            if (code[i] != 0) {
                number = -1;
            }
        }
        switch (number) {
            case 0x0100:
                return new MegakiException(Reason.INCOMPATIBLE_VERSIONS, "the server speaks another version of the protocol");
            case 0x0200:
                return new MegakiException(Reason.SERVICE_UNAVAILABLE, "the server takes no new sessions now");
            case 0x03FF:
                return new MegakiException(Reason.SERVER_BLACKLISTED, "the server's key must not be used any more");
            default:
                return new MegakiException(Reason.UNKNOWN_ERROR, "the server refused with an error that isn't known");
        }
    }

    static byte[] sealAck(byte[] token, byte[] serverHalf, byte[] clientHalf, byte[] ephemeral, byte[] iv)
            throws GeneralSecurityException {
        byte[] p = new byte[Packets.ACK_SIZE];
        Packets.putHead(p, Packets.ACK);
        System.arraycopy(token, 0, p, 38, Packets.TOKEN);
        System.arraycopy(iv, 0, p, 54, Packets.IV);
        System.arraycopy(token, 0, p, 70, Packets.TOKEN);
        System.arraycopy(clientHalf, 0, p, 70 + Packets.TOKEN, Packets.KEY);
        Crypto.cbc(Cipher.ENCRYPT_MODE, serverHalf, iv, p, 70, Packets.SECRET, p, 70);
        System.arraycopy(Crypto.mac(ephemeral, p, 54, Packets.IV + Packets.SECRET), 0, p, 6, Packets.MAC);
        return p;
    }

    /**
     * Resumes a session, as the first thing on a connection. It returns false if the
     * server asks for a handshake on the same connection.
     */
    boolean resume(Session old, int millis) throws MegakiException {
        broken = true;
        wire.allow(millis);
        byte[] augment = Crypto.random(Packets.KEY);
        try {
            byte[] sent = Crypto.seal(Packets.RSTOR, old.token, old.key, Crypto.newNonce(), augment);
            wire.write(sent);
            byte[] head = new byte[Packets.HEAD];
            wire.read(head, 0, head.length);
            if (Packets.checkHead(head, Packets.RSTOR_ACK, Packets.REQ_REHS) == Packets.REQ_REHS) {
                return false;
            }
            byte[] received = readRest(head, Packets.RSTOR_SIZE);
            begin(old.token, openRstorAck(received, old, augment));
            seen.add(sent, 26); // their keys are other ones, unless an augment was all ones
            seen.add(received, 26);
            return true;
        } catch (IOException e) {
            throw failure(e);
        } catch (GeneralSecurityException e) {
            throw new MegakiException(Reason.PROTOCOL, "the resumption failed", e);
        } finally {
            Arrays.fill(augment, (byte) 0);
        }
    }

    /** Checks a RSTOR-ACK, and returns the new master key. */
    static byte[] openRstorAck(byte[] p, Session old, byte[] augment) throws MegakiException, GeneralSecurityException {
        if (Packets.getInt(p, 6) != Packets.KEY) {
            throw new MegakiException(Reason.PROTOCOL, "a RSTOR-ACK of a wrong length");
        }
        if (!Crypto.same(Packets.part(p, 10, Packets.TOKEN), old.token)) {
            throw new MegakiException(Reason.PROTOCOL, "a RSTOR-ACK with another token");
        }
        byte[] mid = Crypto.derive(old.key, augment);
        try {
            if (!Crypto.authentic(p, mid)) {
                throw new MegakiException(Reason.PROTOCOL, "a RSTOR-ACK with a wrong MAC");
            }
            return Crypto.derive(mid, Crypto.open(p, mid));
        } finally {
            Arrays.fill(mid, (byte) 0);
        }
    }

    /** Sends a message and returns the response. The sizes were checked. */
    byte[] roundTrip(byte[] message, int millis) throws MegakiException {
        if (broken) {
            throw new MegakiException(Reason.CLOSED, "the connection failed before, or has no session");
        }
        broken = true; // until the response is there
        count++;
        wire.allow(millis);
        try {
            byte[] packet = Crypto.seal(Packets.MSG, session.token, session.key, Crypto.newNonce(), message);
            seen.add(packet, 26);
            wire.write(packet);
            byte[] response = receive();
            broken = false;
            return response;
        } catch (IOException e) {
            throw failure(e).sent();
        } catch (GeneralSecurityException e) {
            throw new MegakiException(Reason.PROTOCOL, "the response couldn't be decrypted", e).sent();
        }
    }

    private byte[] receive() throws IOException, GeneralSecurityException {
        byte[] head = readPacket(Packets.MSG, Packets.MSG_HEAD);
        long length = Packets.getInt(head, 6);
        if (length > Packets.LIMIT) {
            throw new MegakiException(Reason.RESPONSE_TOO_LONG, "the response is over 1 MiB");
        }
        if (!Crypto.same(Packets.part(head, 10, Packets.TOKEN), session.token)) {
            throw new MegakiException(Reason.PROTOCOL, "a response with another token");
        }
        byte[] p = Arrays.copyOf(head, Packets.MSG_HEAD + Packets.padded((int) length));
        wire.read(p, Packets.MSG_HEAD, p.length - Packets.MSG_HEAD);
        if (!Crypto.authentic(p, session.key)) {
            throw new MegakiException(Reason.PROTOCOL, "a response with a wrong MAC");
        }
        if (!seen.add(p, 26)) {
            throw new MegakiException(Reason.PROTOCOL, "a packet that was sent before, in place of the response");
        }
        return Crypto.open(p, session.key);
    }

    /** Reads size bytes of a packet; its type is judged after 6. */
    byte[] readPacket(int type, int size) throws IOException {
        byte[] head = new byte[Packets.HEAD];
        wire.read(head, 0, head.length);
        Packets.checkHead(head, type, type);
        return readRest(head, size);
    }

    private byte[] readRest(byte[] head, int size) throws IOException {
        byte[] p = Arrays.copyOf(head, size);
        wire.read(p, head.length, size - head.length);
        return p;
    }

    private static MegakiException failure(IOException e) {
        if (e instanceof MegakiException) {
            return (MegakiException) e;
        }
        return new MegakiException(Reason.IO, e.getMessage() != null ? e.getMessage() : "the connection was closed", e);
    }

    // What tests reach into.

    void beginForTest(Session s) {
        begin(s.token, s.key);
    }

    byte[] receiveForTest(int millis) throws IOException, GeneralSecurityException {
        wire.allow(millis);
        return receive();
    }

    boolean sentForTest(byte[] packet) {
        return seen.add(packet, 26);
    }
}
