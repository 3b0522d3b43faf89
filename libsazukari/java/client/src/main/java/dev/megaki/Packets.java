package dev.megaki;

import java.util.Arrays;

/** The layout of packets. Integers are big-endian. */
final class Packets {
    static final int SYN = 1;
    static final int SYN_ACK = 2;
    static final int ACK = 3;
    static final int MSG = 4;
    static final int RSTOR = 5;
    static final int RSTOR_ACK = 6;
    static final int REQ_REHS = 7;
    static final int ACK_ACK = 8;

    /** Sizes in bytes. */
    static final int HEAD = 6;
    static final int MAC = 32;
    static final int TOKEN = 16;
    static final int KEY = 32;
    static final int IV = 16;
    static final int BLOCK = 16;
    static final int RSA = 256;
    static final int SECRET = TOKEN + KEY;

    /** SYN: head, hash (32), two RSA blocks. Its plaintext: modulus, exponent, ephemeral key, version. */
    static final int SYN_SIZE = 550;
    static final int SYN_PLAIN = 294;
    static final int OAEP_MAX = 214;

    /** SYN-ACK: head, MAC at 6, token at 38, RSA block at 54. */
    static final int SYN_ACK_SIZE = 310;

    /** ACK: head, MAC at 6, token at 38, IV at 54, ciphertext (48) at 70. */
    static final int ACK_SIZE = 118;

    /** MSG, RSTOR and RSTOR-ACK: head, length at 6, token at 10, MAC at 26, IV at 58, ciphertext at 74. */
    static final int MSG_HEAD = 74;
    static final int RSTOR_SIZE = MSG_HEAD + KEY;

    /** The largest message and response. */
    static final int LIMIT = 1 << 20;

    private static final byte[] MAGIC = {0x4D, 0x47, 0x4B, (byte) 0xAA, (byte) 0xCA};

    private Packets() {}

    static void putHead(byte[] packet, int type) {
        System.arraycopy(MAGIC, 0, packet, 0, MAGIC.length);
        packet[5] = (byte) type;
    }

    /** Checks magic and type of a header. */
    static int checkHead(byte[] head, int type, int orType) throws MegakiException {
        for (int i = 0; i < MAGIC.length; i++) {
            if (head[i] != MAGIC[i]) {
                throw new MegakiException(MegakiException.Reason.PROTOCOL, "a packet without the magic: this is no Megaki server");
            }
        }
        int got = head[5] & 0xFF;
        if (got != type && got != orType) {
            throw new MegakiException(MegakiException.Reason.PROTOCOL, "a packet of type " + got + ", which isn't due");
        }
        return got;
    }

    static void putInt(byte[] p, int at, int value) {
        p[at] = (byte) (value >>> 24);
        p[at + 1] = (byte) (value >>> 16);
        p[at + 2] = (byte) (value >>> 8);
        p[at + 3] = (byte) value;
    }

    /** Reads an unsigned integer of 32 bits. */
    static long getInt(byte[] p, int at) {
        return (p[at] & 0xFFL) << 24 | (p[at + 1] & 0xFF) << 16 | (p[at + 2] & 0xFF) << 8 | (p[at + 3] & 0xFF);
    }

    static int padded(int length) {
        return (length + BLOCK - 1) / BLOCK * BLOCK;
    }

    static byte[] part(byte[] p, int at, int size) {
        return Arrays.copyOfRange(p, at, at + size);
    }
}
