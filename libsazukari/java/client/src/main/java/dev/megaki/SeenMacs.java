package dev.megaki;

/**
 * The MACs that were sent and received under one master key, as 8-byte prefixes:
 * none is accepted twice. It is an open-addressed table, at most three quarters
 * full; whoever fills it bounds the number of entries.
 */
final class SeenMacs {
    private long[] table = new long[64]; // 0: free
    private int used;
    private final long seed = Packets.getInt(Crypto.random(4), 0) << 16 | 1; // the peer can choose MACs, but not where they fall

    /** Adds the MAC at an offset, and reports whether it is new. */
    boolean add(byte[] packet, int at) {
        long prefix = Packets.getInt(packet, at) << 32 | Packets.getInt(packet, at + 4);
        if (prefix == 0) {
            prefix = 1;
        }
        if (4 * (used + 1) > 3 * table.length) {
            grow();
        }
        int i = slot(prefix);
        if (table[i] != 0) {
            return false;
        }
        table[i] = prefix;
        used++;
        return true;
    }

    int size() {
        return used;
    }

    private int slot(long prefix) {
        int mask = table.length - 1;
        int i = (int) (((prefix ^ seed) * 0x9E3779B97F4A7C15L) >>> 32) & mask;
        while (table[i] != 0 && table[i] != prefix) {
            i = i + 1 & mask;
        }
        return i;
    }

    private void grow() {
        long[] old = table;
        table = new long[2 * old.length];
        for (long prefix : old) {
            if (prefix != 0) {
                table[slot(prefix)] = prefix;
            }
        }
    }
}
