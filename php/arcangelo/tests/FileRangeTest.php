<?php

declare(strict_types=1);

use arca\FileRange;
use arca\Response;
use PHPUnit\Framework\TestCase;

final class FileRangeTest extends TestCase
{
    private string $path;

    protected function setUp(): void
    {
        $this->path = (string) tempnam(sys_get_temp_dir(), 'arca');
        file_put_contents($this->path, '0123456789');
        touch($this->path, 1_750_000_000);
    }

    protected function tearDown(): void
    {
        unlink($this->path);
    }

    /** @return array{int, string, string} the status, the content, and Content-Range */
    private function ask(array $request, string $method = 'GET', ?callable $change = null): array
    {
        $response = Response::file($this->path);
        if ($change !== null) {
            $change($response);
        }
        $file = $response->getBody();
        $length = FileRange::apply($response, $file, 10, $method, $request);
        return [$response->getStatus(), (string) stream_get_contents($file, $length), (string) $response->getHeader('Content-Range')];
    }

    /** @dataProvider ranges */
    public function testRanges(string $range, int $status, string $content, string $contentRange): void
    {
        self::assertSame([$status, $content, $contentRange], $this->ask(['Range' => [$range]]));
    }

    public static function ranges(): array
    {
        return array_column([
            ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
            ['bytes=2-5', 206, '2345', 'bytes 2-5/10'],
            ['bytes=8-', 206, '89', 'bytes 8-9/10'],
            ['bytes=8-99999999999999999999999', 206, '89', 'bytes 8-9/10'],
            ['bytes=-3', 206, '789', 'bytes 7-9/10'],
            ['bytes=-99999999999999999999999', 206, '0123456789', 'bytes 0-9/10'],
            ['bytes= 1-2 ', 206, '12', 'bytes 1-2/10'],
            ['bytes=10-', 416, '', 'bytes */10'],
            ['bytes=99999999999999999999999-', 416, '', 'bytes */10'],
            ['bytes=-0', 416, '', 'bytes */10'],
            ['bytes=5-2', 416, '', 'bytes */10'],
            ['bytes=-', 416, '', 'bytes */10'],
            ['bytes=--1', 416, '', 'bytes */10'],
            ["bytes=1-2\n", 416, '', 'bytes */10'],
            ['bytes=0-0,2-2', 200, '0123456789', ''],
            ['bytes=', 200, '0123456789', ''],
            ['items=0-1', 200, '0123456789', ''],
            ['', 200, '0123456789', ''],
        ], null, 0);
    }

    public function testOnlyGetHasRanges(): void
    {
        foreach (['HEAD', 'POST'] as $method) {
            self::assertSame(200, $this->ask(['Range' => ['bytes=0-0']], $method)[0]);
        }
        self::assertSame(200, $this->ask(['Range' => ['bytes=0-0', 'bytes=1-1']])[0]);
        self::assertSame(200, $this->ask(['If-None-Match' => ['*']], 'POST')[0]);
    }

    public function testFieldsOfTheScriptCount(): void
    {
        $change = fn (Response $r) => $r->header('ETag', '"mine"')->header('Last-Modified', 'Sun, 06 Nov 1994 08:49:37 GMT');
        self::assertSame(304, $this->ask(['If-None-Match' => ['"mine"']], 'GET', $change)[0]);
        self::assertSame(412, $this->ask(['If-Match' => ['"other"']], 'GET', $change)[0]);
        self::assertSame(304, $this->ask(['If-Modified-Since' => ['Sun, 06 Nov 1994 08:49:37 GMT']], 'GET', $change)[0]);
        self::assertSame('2', $this->ask(['If-Range' => ['"mine"'], 'Range' => ['bytes=2-2']], 'GET', $change)[1]);
    }

    public function testFileThatJustChangedHasAWeakTag(): void
    {
        touch($this->path);
        $response = Response::file($this->path);
        FileRange::apply($response, $response->getBody(), 10, 'GET', ['If-Range' => [''], 'Range' => ['bytes=0-0']]);
        self::assertStringStartsWith('W/"', (string) $response->getHeader('ETag'));
        self::assertSame(200, $response->getStatus());
    }

    /** Whatever is asked for, what comes is a part of the file, and Content-Range is right. */
    public function testAnyRange(): void
    {
        mt_srand(1);
        for ($i = 0; $i < 5000; $i++) {
            $range = 'bytes=';
            for ($n = mt_rand(0, 8); $n > 0; $n--) {
                $range .= '0123456789-, x'[mt_rand(0, 13)];
            }
            [$status, $content, $field] = $this->ask(['Range' => [$range]]);
            switch ($status) {
                case 206:
                    self::assertSame(1, preg_match('~^bytes (\d+)-(\d+)/10$~D', $field, $m), $range);
                    self::assertSame(substr('0123456789', (int) $m[1], $m[2] - $m[1] + 1), $content, $range);
                    self::assertNotSame('', $content, $range);
                    break;
                case 416:
                    self::assertSame(['', 'bytes */10'], [$content, $field], $range);
                    break;
                default:
                    self::assertSame([200, '0123456789', ''], [$status, $content, $field], $range);
            }
        }
    }
}
