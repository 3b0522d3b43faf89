<?php

// Finds the classes in Debian's packages, in place of Composer's vendor/autoload.php.

declare(strict_types=1);

namespace Composer;

require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';

/** Symfony 6 asks which packages Composer has installed. */
final class InstalledVersions
{
    public static function isInstalled(): bool
    {
        return false;
    }
}
