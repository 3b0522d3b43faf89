<?php

declare(strict_types=1);

namespace Megaki;

use Megaki\Exception\IncompatibleVersions;
use Megaki\Exception\ProtocolError;
use Megaki\Exception\Refused;
use Megaki\Exception\ResponseTooLong;
use Megaki\Exception\ServerBlacklisted;
use Megaki\Exception\ServiceUnavailable;

/**
 * The packets of Megaki v1. Integers are big-endian.
 *
 *     SYN       head (6), hash (32), two RSA blocks (256 each)
 *     SYN-ACK   head, MAC (32), token (16), RSA block
 *     ACK       head, MAC, token, IV (16), ciphertext (48)
 *     MSG, MSG-RSTOR, MSG-RSTOR-ACK
 *               head, length (4), token, MAC, IV, ciphertext
 *     ACK-ACK, REQ-REHS
 *               head: magic (5) and type
 *
 * @internal
 */
final class Packets
{
    public const SYN = 1;
    public const SYN_ACK = 2;
    public const ACK = 3;
    public const MSG = 4;
    public const RSTOR = 5;
    public const RSTOR_ACK = 6;
    public const REQ_REHS = 7;
    public const ACK_ACK = 8;

    /** The most bytes of a message or a response. */
    public const LIMIT = 1 << 20;

    private const MAGIC = "MGK\xAA\xCA";
    private const VERSION = "\x0A\xFF";
    private const MSG_HEAD = 74;
    private const SIZES = [self::SYN_ACK => 310, self::ACK_ACK => 6, self::REQ_REHS => 6];

    /**
     * Returns the size of the packet that begins so, or 0 if it takes more bytes to know. The
     * packet is one of the types that are due. Nothing but the header is believed.
     *
     * @param list<int> $due
     */
    public static function frameSize(string $beginning, array $due, int $limit = self::LIMIT): int
    {
        if (!str_starts_with(self::MAGIC, substr($beginning, 0, 5))) {
            throw new ProtocolError('a packet without the magic: this is no Megaki server');
        }
        if (strlen($beginning) < 6) {
            return 0;
        }
        $type = ord($beginning[5]);
        if (!in_array($type, $due, true)) {
            throw new ProtocolError("a packet of type $type, which isn't due");
        }
        if (isset(self::SIZES[$type])) {
            return self::SIZES[$type];
        }
        if (strlen($beginning) < 10) {
            return 0;
        }
        $length = unpack('N', $beginning, 6)[1];
        if ($type === self::RSTOR_ACK && $length < 32) {
            throw new ProtocolError("a MSG-RSTOR-ACK of length $length, which always is 32");
        }
        $most = $type === self::RSTOR_ACK ? 32 : $limit;
        if ($length > $most) {
            throw new ResponseTooLong("a response of $length bytes, over the limit of $most");
        }
        return self::MSG_HEAD + self::padded($length);
    }

    /** Mixes two keys: NOT a XOR b. */
    public static function derive(string $a, string $b): string
    {
        return ~$a ^ $b;
    }

    public static function sealSyn(ServerKey $server, \OpenSSLAsymmetricKey $own, string $ephemeral): string
    {
        $plain = ServerKey::pack($own) . $ephemeral . self::VERSION;
        $folded = substr($plain, 214) ^ substr($plain, 0, 80);
        return self::head(self::SYN) . hash('sha256', $plain, true)
            . $server->encrypt(substr($plain, 0, 214)) . $server->encrypt($folded);
    }

    /**
     * Returns token and server_symmetric. Nothing is believed before the MAC.
     *
     * @return array{string, string}
     */
    public static function openSynAck(string $p, string $ephemeral, \OpenSSLAsymmetricKey $own): array
    {
        $block = substr($p, 54);
        if (!hash_equals(self::mac($ephemeral, $block), substr($p, 6, 32))) {
            throw new ProtocolError(
                "a SYN-ACK with a wrong MAC: the server doesn't have the pinned key, or someone changed the packet",
            );
        }
        if (!openssl_private_decrypt($block, $secret, $own, OPENSSL_PKCS1_OAEP_PADDING) || strlen($secret) !== 48) {
            throw new ProtocolError("a SYN-ACK that isn't encrypted to the client's key");
        }
        [$outer, $inner, $symmetric] = [substr($p, 38, 16), substr($secret, 0, 16), substr($secret, 16)];
        // The reference's server marks the inner token, its client looks at the outer one.
        $mark = str_repeat("\xEE", 16);
        if ($inner === $mark) {
            throw self::refusal($symmetric);
        }
        if ($outer === $mark) {
            throw self::refusal($inner);
        }
        if (!hash_equals($inner, $outer)) {
            throw new ProtocolError('a SYN-ACK with two tokens: someone changed the packet');
        }
        return [$inner, $symmetric];
    }

    public static function sealAck(string $token, string $server, string $client, string $ephemeral): string
    {
        $iv = random_bytes(16);
        $signed = $iv . self::encrypt($server, $iv, $token . $client);
        return self::head(self::ACK) . self::mac($ephemeral, $signed) . $token . $signed;
    }

    /** Makes a MSG, or a packet of its form. Random bytes pad it. */
    public static function seal(int $type, string $key, string $token, string $plain): string
    {
        $length = strlen($plain);
        $missing = self::padded($length) - $length;
        $iv = random_bytes(16);
        $signed = $iv . self::encrypt($key, $iv, $missing > 0 ? $plain . random_bytes($missing) : $plain);
        return self::head($type) . pack('N', $length) . $token . self::mac($key, $signed) . $signed;
    }

    /** Checks a whole MSG, or a packet of its form, and returns the plaintext. */
    public static function unseal(string $key, string $p): string
    {
        if (!hash_equals(self::mac($key, substr($p, 58)), substr($p, 26, 32))) {
            throw new ProtocolError('a packet with a wrong MAC');
        }
        $length = unpack('N', $p, 6)[1];
        if ($length === 0) {
            return '';
        }
        $options = OPENSSL_RAW_DATA | OPENSSL_ZERO_PADDING;
        return substr(openssl_decrypt(substr($p, 74), 'aes-256-cbc', $key, $options, substr($p, 58, 16)), 0, $length);
    }

    private static function head(int $type): string
    {
        return self::MAGIC . chr($type);
    }

    private static function padded(int $length): int
    {
        return intdiv($length + 15, 16) * 16;
    }

    private static function mac(string $key, string $data): string
    {
        return hash_hmac('sha256', $data, $key, true);
    }

    private static function encrypt(string $key, string $iv, string $plain): string
    {
        return openssl_encrypt($plain, 'aes-256-cbc', $key, OPENSSL_RAW_DATA | OPENSSL_ZERO_PADDING, $iv);
    }

    private static function refusal(string $code): Refused
    {
        return match (substr($code, 0, 2)) {
            "\x01\x00" => new IncompatibleVersions('the server speaks another version of the protocol'),
            "\x02\x00" => new ServiceUnavailable('the server takes no new sessions now'),
            "\x03\xFF" => new ServerBlacklisted("the server's key must not be used any more"),
            default => new Refused('the server refuses the handshake with the code ' . bin2hex(substr($code, 0, 2))),
        };
    }
}
