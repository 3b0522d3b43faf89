package com.nmi.sazukari;

import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;

/** The public key of a server, which a program ships with. */
public final class SazukariServerKey {
    /** The size of a key in bytes: modulus (256) and exponent (4), big-endian. */
    public static final int SIZE = 260;

    private static final int LARGEST_FILE = 64 * 1024;

    private final byte[] bytes;

    /**
     * Makes a key of a public key in PEM, or of its 260 bytes.
     *
     * @throws IllegalArgumentException if it is no public RSA key of 2048 bits
     */
    public SazukariServerKey(byte[] pemOrBytes) {
        ByteBuffer key = ByteBuffer.allocate(SIZE);
        if (SazukariNative._szkrKeyFromPem(ByteBuffer.wrap(pemOrBytes), key) != 0) {
            throw new IllegalArgumentException("this is no public RSA key of 2048 bits");
        }
        bytes = key.array();
    }

    /** Makes a key of a public key in PEM. */
    public SazukariServerKey(String pem) {
        this(pem.getBytes(Charset.forName("US-ASCII")));
    }

    /** Reads a key from a file: PEM, or 260 bytes. */
    public static SazukariServerKey read(File file) throws IOException {
        long size = file.length();
        if (size > LARGEST_FILE) {
            throw new IOException(file + " is too large for a public key");
        }
        byte[] data = new byte[(int) size];
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
            in.readFully(data);
        }
        return new SazukariServerKey(data);
    }

    /** Returns the 260 bytes of the key. */
    public byte[] toBytes() {
        return bytes.clone();
    }
}
