package dev.megaki;

import java.util.Arrays;

/** A session of one connection: what resuming takes. Whoever has it can speak as this client. */
final class Session {
    static final int SIZE = Packets.TOKEN + Packets.KEY;

    final byte[] token;
    final byte[] key;

    Session(byte[] token, byte[] key) {
        this.token = token;
        this.key = key;
    }

    /** Returns the session of 48 bytes, or null if they aren't so many. */
    static Session of(byte[] bytes) {
        if (bytes == null || bytes.length != SIZE) {
            return null;
        }
        return new Session(Packets.part(bytes, 0, Packets.TOKEN), Packets.part(bytes, Packets.TOKEN, Packets.KEY));
    }

    /** Overwrites the key. */
    void wipe() {
        Arrays.fill(key, (byte) 0);
    }

    byte[] toBytes() {
        byte[] out = new byte[SIZE];
        System.arraycopy(token, 0, out, 0, Packets.TOKEN);
        System.arraycopy(key, 0, out, Packets.TOKEN, Packets.KEY);
        return out;
    }
}
