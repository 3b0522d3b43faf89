<?php

declare(strict_types=1);

namespace Megaki\Tests;

use Megaki\Exception\ProtocolError;
use Megaki\Exception\Refused;
use Megaki\Exception\ResponseTooLong;
use Megaki\Packets;
use Megaki\Seen;
use Megaki\ServerKey;
use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/autoload.php';

/** Runs the protocol's test vectors that are for clients: see vectors/README.md. */
final class VectorsTest extends TestCase
{
    private const DUE = [
        'client-syn-ack' => [Packets::SYN_ACK],
        'client-ack-ack' => [Packets::ACK_ACK],
        'client-rstor-ack' => [Packets::RSTOR_ACK, Packets::REQ_REHS],
        'client-message' => [Packets::MSG],
    ];

    public function files(): array
    {
        return [['keys', 10], ['frames', 50], ['handshake', 10], ['messages', 20], ['resumption', 5], ['replays', 2]];
    }

    /** @dataProvider files */
    public function testFile(string $name, int $least): void
    {
        $folder = getenv('MEGAKI_VECTORS') ?: __DIR__ . '/../../../vectors';
        $file = json_decode(file_get_contents("$folder/v1/$name.json"), true, 512, JSON_THROW_ON_ERROR);
        $count = 0;
        foreach ($file['tests'] as $v) {
            $operation = 'run' . str_replace(' ', '', ucwords(str_replace('-', ' ', $v['operation'])));
            $isServers = ($v['side'] ?? '') === 'server' || str_starts_with($v['state'] ?? '', 'server');
            if (!method_exists($this, $operation) || $isServers) {
                continue;
            }
            $count++;
            $this->assertSame($v['expect'] ?? 'ok', $this->result($v, fn () => $this->$operation($v, $file)), $v['name']);
        }
        $this->assertGreaterThan($least, $count);
    }

    public function testPrivateKeyIsRefused(): void
    {
        $folder = getenv('MEGAKI_VECTORS') ?: __DIR__ . '/../../../vectors';
        $file = json_decode(file_get_contents("$folder/v1-flow.json"), true, 512, JSON_THROW_ON_ERROR);
        [$public, $private] = [$file['server_public_key_pem'], $file['server_private_key_pem']];
        new ServerKey($public);
        $refused = 0;
        foreach ([$private, $private . $public, $public . $private] as $pem) {
            try {
                new ServerKey($pem);
            } catch (\InvalidArgumentException $e) {
                $refused += (int) str_contains($e->getMessage(), 'private key');
            }
        }
        $this->assertSame(3, $refused);
    }

    /** Returns how a vector or a step ends. A client closes for each of the last, and doesn't distinguish them. */
    private function result(array $v, callable $work): string
    {
        try {
            return $work() ?? 'ok';
        } catch (\DomainException $e) {
            return $e->getMessage();
        } catch (ResponseTooLong) {
            return 'too-long';
        } catch (Refused $e) {
            $this->assertContains([$v['code'], get_class($e)], [
                ['0100', 'Megaki\Exception\IncompatibleVersions'], ['0200', 'Megaki\Exception\ServiceUnavailable'],
                ['03ff', 'Megaki\Exception\ServerBlacklisted'], [$v['code'], Refused::class],
            ]);
            return 'server-error';
        } catch (ProtocolError | \InvalidArgumentException $e) {
            $refusal = in_array($v['expect'] ?? '', ['crypto', 'malformed', 'bad-key'], true);
            return $refusal ? $v['expect'] : 'refused: ' . $e->getMessage();
        }
    }

    /** Checks that the bytes are exactly one packet. */
    private function framed(string $packet, array $due, int $limit = Packets::LIMIT): void
    {
        $size = Packets::frameSize($packet, $due, $limit);
        if ($size === 0 || strlen($packet) < $size) {
            throw new \DomainException('incomplete');
        }
        if (strlen($packet) > $size) {
            throw new ProtocolError('bytes after the packet');
        }
    }

    private function received(string $packet, string $key, Seen $seen, int $limit): string
    {
        $this->framed($packet, [Packets::MSG], $limit);
        $plain = Packets::unseal($key, $packet);
        if (!$seen->add($packet)) {
            throw new \DomainException('replay');
        }
        return bin2hex($plain);
    }

    private function runPublicKey(array $v): void
    {
        $packed = $v['modulus'] . $v['exponent'];
        $this->assertSame($packed, bin2hex((new ServerKey(hex2bin($packed)))->toBytes()));
    }

    private function runDerive(array $v): void
    {
        $key = Packets::derive(hex2bin($v['server_symmetric']), hex2bin($v['client_symmetric']));
        $this->assertSame($v['key'], bin2hex($key));
    }

    private function runFrame(array $v): ?string
    {
        $size = Packets::frameSize(hex2bin($v['packet'] ?? ''), self::DUE[$v['state']], $v['limit']);
        if ($size === 0) {
            return 'incomplete';
        }
        $this->assertSame($v['size'], $size);
        return null;
    }

    private function runOpenSynAck(array $v, array $file): void
    {
        $packet = hex2bin($v['packet'] ?? '');
        $this->framed($packet, [Packets::SYN_ACK]);
        $own = openssl_pkey_get_private($file['keys']['client']);
        $opened = Packets::openSynAck($packet, hex2bin($v['ephemeral_key']), $own);
        $this->assertSame([$v['token'], $v['server_symmetric']], array_map('bin2hex', $opened));
    }

    private function runOpenMessage(array $v): void
    {
        $this->assertSame($v['plaintext'] ?? '', $this->received(hex2bin($v['packet'] ?? ''), hex2bin($v['key']), new Seen(), $v['limit']));
    }

    private function runOpenRstorAck(array $v): ?string
    {
        $packet = hex2bin($v['packet'] ?? '');
        $this->framed($packet, [Packets::RSTOR_ACK, Packets::REQ_REHS]);
        if (ord($packet[5]) === Packets::REQ_REHS) {
            return 'handshake-needed';
        }
        $mid = Packets::derive(hex2bin($v['key']), hex2bin($v['client_augment']));
        $key = Packets::derive($mid, Packets::unseal($mid, $packet)); // fails where there is no new_key
        $this->assertSame($v['new_key'], bin2hex($key));
        return null;
    }

    private function runSession(array $v): string
    {
        $seen = new Seen();
        foreach ($v['steps'] as $step) {
            $packet = hex2bin($step['packet']);
            $result = $this->result($step, function () use ($step, $packet, $v, $seen): void {
                if (!($step['sent'] ?? false)) {
                    $this->assertSame($step['plaintext'] ?? '', $this->received($packet, hex2bin($v['key']), $seen, $v['limit']));
                } elseif (!$seen->add($packet)) {
                    throw new \DomainException('replay');
                }
            });
            $this->assertSame($step['expect'], $result);
        }
        return $v['expect'] ?? 'ok';
    }
}
