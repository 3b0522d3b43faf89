<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;

require_once __DIR__ . '/make-stubs.php';

/** What scripts see is typed and documented, and the stubs for editors have it. */
final class PublicApiTest extends TestCase
{
    private const CLASSES = [arca\Userspace::class, arca\Request::class, arca\Response::class, arca\Upload::class];
    /** Names that need no comment. */
    private const PLAIN = ['__construct', 'html', 'text', 'redirect', 'getStatus', 'method', 'clientIp', 'clientPort', 'client_port'];

    public function testTypesAndDocs(): void
    {
        foreach (self::CLASSES as $class) {
            $c = new ReflectionClass($class);
            self::assertTrue($c->isFinal(), $class);
            self::assertNotFalse($c->getDocComment(), $class);
            foreach ($c->getProperties() as $p) {
                self::assertTrue($p->hasType(), "$class::\${$p->name} has no type");
                $this->documented($p, "$class::\${$p->name}");
            }
            foreach ($c->getMethods() as $m) {
                $this->typed($m, "$class::{$m->name}");
                $this->documented($m, "$class::{$m->name}");
            }
        }
        foreach (['arca\psr', 'arca\symfony', 'arca\finish', 'arca\stream'] as $name) {
            $function = new ReflectionFunction($name);
            $this->typed($function, $name);
            self::assertNotFalse($function->getDocComment());
        }
    }

    private function typed(ReflectionFunctionAbstract $f, string $name): void
    {
        foreach ($f->getParameters() as $p) {
            self::assertTrue($p->hasType(), "$name: \${$p->name} has no type");
        }
        $returnsResource = str_contains((string) $f->getDocComment(), '@return resource');
        self::assertTrue($f->hasReturnType() || $f->name === '__construct' || $returnsResource, "$name has no return type");
    }

    private function documented(ReflectionMethod|ReflectionProperty $member, string $name): void
    {
        if ($member->isPublic() && !in_array($member->name, self::PLAIN, true)) {
            self::assertNotFalse($member->getDocComment(), "$name has no doc comment");
        }
    }

    /** Composer's package has no code to load: a worker has the real one. */
    public function testComposerPackage(): void
    {
        $stubs = dirname(__DIR__) . '/stubs';
        $package = json_decode(file_get_contents("$stubs/composer.json"), true, 10, JSON_THROW_ON_ERROR);
        self::assertSame('mkd/arca-stubs', $package['name']);
        self::assertArrayNotHasKey('autoload', $package);
        foreach ($package['extra']['phpstan']['includes'] as $file) {
            self::assertStringContainsString('- arca.php', file_get_contents("$stubs/$file"));
        }
    }

    public function testStubsAreUpToDate(): void
    {
        self::assertSame(stubs(), file_get_contents(dirname(__DIR__) . '/stubs/arca.php'), 'run php tests/make-stubs.php > stubs/arca.php');
    }
}
