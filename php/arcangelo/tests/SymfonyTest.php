<?php

// What the test needs of Symfony and Laravel, which need not be installed.

declare(strict_types=1);

// phpcs:disable PSR1.Classes.ClassDeclaration.MultipleClasses

namespace Symfony\Component\HttpKernel {
    if (!interface_exists(HttpKernelInterface::class)) {
        interface HttpKernelInterface
        {
        }
    }
}

namespace Illuminate\Contracts\Foundation {
    if (!interface_exists(Application::class)) {
        interface Application
        {
        }
    }
}

namespace {
    use Illuminate\Contracts\Foundation\Application;
    use PHPUnit\Framework\TestCase;
    use Symfony\Component\HttpKernel\HttpKernelInterface;

    /** proxy/frameworks_test.go tests a real application. */
    final class SymfonyTest extends TestCase
    {
        /** In a worker Laravel's session store merges the sessions of different clients. */
        public function testLaravelIsRefused(): void
        {
            $this->expectExceptionMessage('PHP-FPM');
            arca\symfony(new class implements Application, HttpKernelInterface {
            });
        }
    }
}
