package dev.megaki;

import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.Charset;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.RSAPublicKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;

/** The public key of a server, which a program ships with: RSA of 2048 bits. */
public final class ServerKey {
    private static final int SIZE = Packets.RSA + 4;
    private static final int LARGEST_FILE = 64 * 1024;
    private static final String PKIX = "PUBLIC KEY-----";
    private static final String PKCS1 = "RSA PUBLIC KEY-----";
    private static final String BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    private final BigInteger modulus;
    private final BigInteger exponent;

    private ServerKey(BigInteger modulus, BigInteger exponent) {
        if (modulus.bitLength() != 2048 || !modulus.testBit(0)) {
            throw new IllegalArgumentException("the key's modulus isn't an odd number of 2048 bits");
        }
        if (exponent.bitLength() > 31 || !exponent.testBit(0) || exponent.compareTo(BigInteger.valueOf(3)) < 0) {
            throw new IllegalArgumentException("the key's exponent isn't an odd number from 3 to 2147483647");
        }
        this.modulus = modulus;
        this.exponent = exponent;
    }

    /**
     * Makes a key of a public key in PEM, or of its 260 bytes: modulus and exponent.
     *
     * @throws IllegalArgumentException if it is none, or none that may be used
     */
    public static ServerKey of(byte[] pemOrBytes) {
        if (pemOrBytes.length == SIZE) {
            return new ServerKey(new BigInteger(1, Packets.part(pemOrBytes, 0, Packets.RSA)),
                    new BigInteger(1, Packets.part(pemOrBytes, Packets.RSA, 4)));
        }
        return ofPem(new String(pemOrBytes, Charset.forName("US-ASCII")));
    }

    /** Makes a key of a public key in PEM ("BEGIN PUBLIC KEY" or "BEGIN RSA PUBLIC KEY"). */
    public static ServerKey ofPem(String pem) {
        if (pem.contains("PRIVATE KEY-----")) {
            throw new IllegalArgumentException("there is a private key, which must not be in a client");
        }
        byte[] der = cut(pem, PKIX);
        if (der == null) {
            der = cut(pem, PKCS1);
            if (der == null) {
                throw new IllegalArgumentException("this is no public key in PEM");
            }
            der = toPkix(der);
        }
        try {
            PublicKey key = KeyFactory.getInstance("RSA").generatePublic(new X509EncodedKeySpec(der));
            RSAPublicKey rsa = (RSAPublicKey) key;
            return new ServerKey(rsa.getModulus(), rsa.getPublicExponent());
        } catch (GeneralSecurityException e) {
            throw new IllegalArgumentException("this is no public RSA key", e);
        }
    }

    /** Returns what the first block of a type has, or null. */
    private static byte[] cut(String pem, String type) {
        int begin = pem.indexOf("-----BEGIN " + type);
        int end = pem.indexOf("-----END " + type, Math.max(begin, 0));
        return begin < 0 || end < 0 ? null : decode(pem.substring(begin + "-----BEGIN ".length() + type.length(), end));
    }

    /** Puts an RSAPublicKey into a SubjectPublicKeyInfo (RFC 5280, section 4.1), the form that Java reads. */
    private static byte[] toPkix(byte[] rsa) {
        byte[] head = {
            0x30, (byte) 0x82, 0, 0,
            0x30, 0x0D, 0x06, 0x09, 0x2A, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00, // rsaEncryption
            0x03, (byte) 0x82, 0, 0, 0x00, // BIT STRING
        };
        byte[] out = Arrays.copyOf(head, head.length + rsa.length);
        System.arraycopy(rsa, 0, out, head.length, rsa.length);
        putLength(out, 2);
        putLength(out, 21);
        return out;
    }

    /** Writes how many bytes follow a length of 2 bytes. */
    private static void putLength(byte[] der, int at) {
        int length = der.length - at - 2;
        der[at] = (byte) (length >>> 8);
        der[at + 1] = (byte) length;
    }

    /** Reads a key from a file. */
    public static ServerKey read(File file) throws IOException {
        long size = file.length();
        if (size > LARGEST_FILE) {
            throw new IOException(file + " is too large for a public key");
        }
        byte[] data = new byte[(int) size];
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
            in.readFully(data);
        }
        return of(data);
    }

    /** Decodes base64; java.util.Base64 is missing on older Androids. */
    private static byte[] decode(String text) {
        String digits = text.replaceAll("\\s", "");
        int padding = digits.endsWith("==") ? 2 : digits.endsWith("=") ? 1 : 0;
        if (digits.length() % 4 != 0 || digits.length() == 0) {
            throw new IllegalArgumentException("the base64 of a key is cut off");
        }
        byte[] out = new byte[digits.length() / 4 * 3];
        for (int i = 0; i < digits.length(); i += 4) {
            int bits = 0;
            for (int j = 0; j < 4; j++) {
                char c = digits.charAt(i + j);
                boolean isPadding = i + j >= digits.length() - padding;
                int value = isPadding ? 0 : BASE64.indexOf(c);
                if (value < 0) {
                    throw new IllegalArgumentException("the base64 of a key has another character");
                }
                bits = bits << 6 | value;
            }
            out[i / 4 * 3] = (byte) (bits >>> 16);
            out[i / 4 * 3 + 1] = (byte) (bits >>> 8);
            out[i / 4 * 3 + 2] = (byte) bits;
        }
        return Packets.part(out, 0, out.length - padding);
    }

    /** Returns the 260 bytes of the key. */
    public byte[] toBytes() {
        byte[] out = new byte[SIZE];
        fill(modulus, out, 0, Packets.RSA);
        fill(exponent, out, Packets.RSA, 4);
        return out;
    }

    /** Writes a number of at most size bytes. */
    static void fill(BigInteger n, byte[] out, int at, int size) {
        byte[] bytes = n.toByteArray(); // perhaps with a zero before
        int skip = bytes.length > size ? bytes.length - size : 0;
        System.arraycopy(bytes, skip, out, at + size - (bytes.length - skip), bytes.length - skip);
    }

    PublicKey toPublicKey() throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(modulus, exponent));
    }
}
