<?php

declare(strict_types=1);

namespace Megaki;

/** The server's public key: PEM, or the 260 bytes of modulus and exponent. */
final class ServerKey
{
    private string $packed;
    private \OpenSSLAsymmetricKey $key;

    public function __construct(string $data)
    {
        if (strlen($data) === 260 && !str_starts_with($data, '-----BEGIN')) {
            $this->packed = $data;
        } else {
            $this->packed = self::pack(self::readPem($data));
        }
        $exponent = unpack('N', $this->packed, 256)[1];
        if (ord($this->packed[0]) < 0x80 || (ord($this->packed[255]) & 1) === 0) {
            throw new \InvalidArgumentException("the key's modulus isn't an odd number of 2048 bits");
        }
        if ($exponent < 3 || $exponent > 0x7FFFFFFF || ($exponent & 1) === 0) {
            throw new \InvalidArgumentException("the key's exponent isn't an odd number from 3 to 2147483647");
        }
        $key = openssl_pkey_get_public(self::toPem($this->packed));
        if ($key === false) {
            throw new \InvalidArgumentException('OpenSSL refuses the key: ' . openssl_error_string());
        }
        $this->key = $key;
    }

    /** Reads a key from a file, such as server.key.pub. */
    public static function read(string $path): self
    {
        $data = @file_get_contents($path);
        if ($data === false) {
            throw new \InvalidArgumentException("$path can't be read");
        }
        return new self($data);
    }

    /** Returns modulus and exponent, 260 bytes. */
    public function toBytes(): string
    {
        return $this->packed;
    }

    /** @internal */
    public function encrypt(string $data): string
    {
        if (!openssl_public_encrypt($data, $block, $this->key, OPENSSL_PKCS1_OAEP_PADDING)) {
            throw new \RuntimeException("encrypting to the server's key: " . openssl_error_string());
        }
        return $block;
    }

    /**
     * Returns modulus and exponent of a key, 260 bytes.
     *
     * @internal
     */
    public static function pack(\OpenSSLAsymmetricKey $key): string
    {
        $rsa = openssl_pkey_get_details($key)['rsa'] ?? null;
        if ($rsa === null || strlen($rsa['n']) !== 256 || strlen($rsa['e']) > 4) {
            throw new \InvalidArgumentException("the key isn't an RSA key of 2048 bits");
        }
        return $rsa['n'] . str_pad($rsa['e'], 4, "\0", STR_PAD_LEFT);
    }

    private static function readPem(string $data): \OpenSSLAsymmetricKey
    {
        if (str_contains($data, 'PRIVATE KEY-----')) { // OpenSSL would take it
            throw new \InvalidArgumentException('there is a private key, which must not be in a client');
        }
        if (!preg_match('/-----BEGIN (RSA )?PUBLIC KEY-----/', $data)) {
            throw new \InvalidArgumentException('neither a public key in PEM nor the 260 bytes of modulus and exponent');
        }
        $key = openssl_pkey_get_public($data);
        if ($key === false) {
            throw new \InvalidArgumentException('the public key in PEM is malformed');
        }
        return $key;
    }

    /** Writes a SubjectPublicKeyInfo (RFC 5280, section 4.1). */
    private static function toPem(string $packed): string
    {
        $integer = static function (string $bytes): string {
            $bytes = ltrim($bytes, "\0");
            return self::der(0x02, (ord($bytes[0]) >= 0x80 ? "\0" : '') . $bytes);
        };
        $rsa = self::der(0x30, $integer(substr($packed, 0, 256)) . $integer(substr($packed, 256)));
        $rsaEncryption = hex2bin('300d06092a864886f70d0101010500');
        $info = self::der(0x30, $rsaEncryption . self::der(0x03, "\0" . $rsa));
        return "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($info), 64, "\n") . "-----END PUBLIC KEY-----\n";
    }

    private static function der(int $tag, string $content): string
    {
        $length = strlen($content);
        if ($length < 0x80) {
            return pack('CC', $tag, $length) . $content;
        }
        return $length < 0x100 ? pack('CCC', $tag, 0x81, $length) . $content : pack('CCn', $tag, 0x82, $length) . $content;
    }
}
