package dev.megaki;

import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.RSAKeyGenParameterSpec;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;

/** What the protocol takes from javax.crypto. */
final class Crypto {
    private static final OAEPParameterSpec OAEP =
            new OAEPParameterSpec("SHA-1", "MGF1", MGF1ParameterSpec.SHA1, PSource.PSpecified.DEFAULT);

    private Crypto() {}

    static byte[] random(int size) {
        byte[] b = new byte[size];
        new SecureRandom().nextBytes(b);
        return b;
    }

    static KeyPair newKey() {
        try {
            KeyPairGenerator g = KeyPairGenerator.getInstance("RSA");
            g.initialize(new RSAKeyGenParameterSpec(2048, RSAKeyGenParameterSpec.F4));
            return g.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e); // every platform has it
        }
    }

    /** Mixes two keys: NOT a XOR b. */
    static byte[] derive(byte[] a, byte[] b) {
        byte[] out = new byte[Packets.KEY];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) (~a[i] ^ b[i]);
        }
        return out;
    }

    static byte[] sha256(byte[] data) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(data);
    }

    static byte[] mac(byte[] key, byte[] data, int at, int size) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        mac.update(data, at, size);
        return mac.doFinal();
    }

    /** Compares in a time that doesn't depend on where the arrays differ. */
    static boolean same(byte[] a, byte[] b) {
        return MessageDigest.isEqual(a, b);
    }

    /** AES-256-CBC of whole blocks. out may be in. */
    static void cbc(int mode, byte[] key, byte[] iv, byte[] in, int inAt, int size, byte[] out, int outAt)
            throws GeneralSecurityException {
        if (size == 0) {
            return;
        }
        Cipher c = Cipher.getInstance("AES/CBC/NoPadding");
        c.init(mode, new SecretKeySpec(key, "AES"), new IvParameterSpec(iv));
        c.doFinal(in, inAt, size, out, outAt);
    }

    static byte[] encryptOaep(PublicKey key, byte[] data, int at, int size) throws GeneralSecurityException {
        return oaep(Cipher.ENCRYPT_MODE, key, data, at, size);
    }

    static byte[] decryptOaep(Key key, byte[] block) throws GeneralSecurityException {
        return oaep(Cipher.DECRYPT_MODE, key, block, 0, block.length);
    }

    private static byte[] oaep(int mode, Key key, byte[] data, int at, int size) throws GeneralSecurityException {
        Cipher c = Cipher.getInstance("RSA/ECB/OAEPWithSHA-1AndMGF1Padding");
        c.init(mode, key, OAEP);
        return c.doFinal(data, at, size);
    }

    /** Makes a whole MSG, RSTOR or RSTOR-ACK. nonce has the IV, then what fills the last block. */
    static byte[] seal(int type, byte[] token, byte[] key, byte[] nonce, byte[] plain) throws GeneralSecurityException {
        int padded = Packets.padded(plain.length);
        byte[] p = new byte[Packets.MSG_HEAD + padded];
        Packets.putHead(p, type);
        Packets.putInt(p, 6, plain.length);
        System.arraycopy(token, 0, p, 10, Packets.TOKEN);
        System.arraycopy(nonce, 0, p, 58, Packets.IV);
        System.arraycopy(plain, 0, p, Packets.MSG_HEAD, plain.length);
        System.arraycopy(nonce, Packets.IV, p, Packets.MSG_HEAD + plain.length, padded - plain.length);
        cbc(Cipher.ENCRYPT_MODE, key, Packets.part(p, 58, Packets.IV), p, Packets.MSG_HEAD, padded, p, Packets.MSG_HEAD);
        System.arraycopy(mac(key, p, 58, p.length - 58), 0, p, 26, Packets.MAC);
        return p;
    }

    static byte[] newNonce() {
        return random(Packets.IV + Packets.BLOCK);
    }

    /** Reports whether the MAC of a whole MSG, RSTOR or RSTOR-ACK is right. */
    static boolean authentic(byte[] p, byte[] key) throws GeneralSecurityException {
        return same(Packets.part(p, 26, Packets.MAC), mac(key, p, 58, p.length - 58));
    }

    /** Decrypts an authentic packet; its length is believed here. */
    static byte[] open(byte[] p, byte[] key) throws GeneralSecurityException {
        byte[] plain = new byte[p.length - Packets.MSG_HEAD];
        cbc(Cipher.DECRYPT_MODE, key, Packets.part(p, 58, Packets.IV), p, Packets.MSG_HEAD, plain.length, plain, 0);
        return Packets.part(plain, 0, (int) Packets.getInt(p, 6));
    }
}
