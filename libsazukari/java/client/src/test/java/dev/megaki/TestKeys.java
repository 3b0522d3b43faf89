package dev.megaki;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPrivateCrtKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.util.Base64;

/** Reads the private keys of the vectors: PKCS#1 or PKCS#8, in PEM. */
final class TestKeys {
    private TestKeys() {}

    static KeyPair of(String pem) throws GeneralSecurityException {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        KeyFactory f = KeyFactory.getInstance("RSA");
        PrivateKey key = pem.contains("RSA PRIVATE") ? f.generatePrivate(pkcs1(der)) : f.generatePrivate(new PKCS8EncodedKeySpec(der));
        RSAPrivateCrtKey rsa = (RSAPrivateCrtKey) key;
        return new KeyPair(f.generatePublic(new RSAPublicKeySpec(rsa.getModulus(), rsa.getPublicExponent())), key);
    }

    private static RSAPrivateCrtKeySpec pkcs1(byte[] der) {
        int[] at = {0};
        header(der, at); // SEQUENCE
        BigInteger[] n = new BigInteger[9];
        for (int i = 0; i < n.length; i++) {
            int size = header(der, at);
            n[i] = new BigInteger(Packets.part(der, at[0], size));
            at[0] += size;
        }
        return new RSAPrivateCrtKeySpec(n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]);
    }

    private static int header(byte[] der, int[] at) {
        at[0]++;
        int size = der[at[0]++] & 0xFF;
        if (size >= 0x80) {
            int bytes = size & 0x7F;
            size = 0;
            for (int i = 0; i < bytes; i++) {
                size = size << 8 | (der[at[0]++] & 0xFF);
            }
        }
        return size;
    }
}
