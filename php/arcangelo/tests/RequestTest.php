<?php

declare(strict_types=1);

use arca\Cookies;
use arca\Request;
use arca\Upload;
use PHPUnit\Framework\TestCase;

final class RequestTest extends TestCase
{
    public function testHandMade(): void
    {
        $r = new Request(
            method: 'POST',
            target: '/a%20b?c=d',
            headers: ['X-One' => ['1', '2'], 'content-type' => ['application/json']],
            body: '{"a": {"b": 1}}',
            scheme: 'https',
            host: 'example.org',
        );
        self::assertSame('/a%20b', $r->path);
        self::assertSame('https://example.org/a%20b?c=d', $r->url());
        self::assertSame('1, 2', $r->header('x-one'));
        self::assertSame('application/json', $r->header('Content-Type'));
        self::assertNull($r->header('X-Two'));
        self::assertSame(['a' => ['b' => 1]], $r->json());
        self::assertSame($r->body(), stream_get_contents($r->bodyStream()));
    }

    public function testBodyInAFile(): void
    {
        $file = fopen('php://memory', 'w+b');
        fwrite($file, 'content');
        $r = new Request(body: $file);
        self::assertSame('content', $r->body());
        self::assertSame('content', $r->body());
        self::assertSame('content', stream_get_contents($r->bodyStream()));
    }

    public function testNoJson(): void
    {
        $this->expectException(JsonException::class);
        (new Request(body: '{'))->json();
    }

    public function testReadOnly(): void
    {
        $this->expectException(Error::class);
        $r = new Request();
        $r->method = 'PUT';
    }

    public function testCookieNames(): void
    {
        self::assertSame(['a' => '1', 'b' => ''], Cookies::parse('a=1; b; a=2;; =x'));
        self::assertSame(['__Host-a' => '1'], Cookies::parse('__Host-a=1; ..Host-b=2; _.Secure-c=3'));
    }

    public function testManyCookies(): void
    {
        $begin = hrtime(true);
        $cookies = Cookies::parse(implode('; ', array_fill(0, (int) ini_get('max_input_vars'), 'a[]=1')));
        self::assertCount((int) ini_get('max_input_vars'), $cookies['a']);
        self::assertLessThan(1e9, hrtime(true) - $begin);
    }

    public function testUploads(): void
    {
        $dir = sys_get_temp_dir() . '/arca' . bin2hex(random_bytes(8));
        mkdir($dir);
        file_put_contents("$dir/tmp", 'content');
        $u = new Upload('a.txt', 'x/a.txt', 'text/plain', "$dir/tmp", UPLOAD_ERR_OK, 7);
        self::assertSame('content', $u->contents());
        $u->moveTo("$dir/moved");
        self::assertSame('content', file_get_contents("$dir/moved"));
        self::assertSame(0666 & ~umask(), fileperms("$dir/moved") & 0777);
        $none = new Upload('', error: UPLOAD_ERR_NO_FILE);
        foreach ([fn () => $u->moveTo("$dir/again"), fn () => $none->moveTo("$dir/no"), fn () => $none->contents()] as $f) {
            try {
                $f();
                self::fail('no error');
            } catch (RuntimeException) {
            }
        }
        unlink("$dir/moved");
        rmdir($dir);
    }
}
