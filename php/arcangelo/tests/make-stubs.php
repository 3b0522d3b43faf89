<?php

// Prints the part of Arcangelo that userspace scripts use, without its code, for editors:
//
//     php tests/make-stubs.php > stubs/arca.php

declare(strict_types=1);

require_once __DIR__ . '/bootstrap.php';

function stubs(): string
{
    $arca = array_map(classStub(...), [arca\Request::class, arca\Response::class, arca\Upload::class]);
    foreach (['psr', 'symfony', 'finish', 'stream'] as $function) {
        $arca[] = functionStub(new ReflectionFunction("arca\\$function"), '');
    }
    return <<<PHP
        <?php

        // The classes and functions of mkd's PHP workers, for editors and static checks. Never
        // load this file. php/arcangelo/tests/make-stubs.php generates it.

        namespace {


        PHP . indent(classStub(arca\Userspace::class, 'arca')) . "\n}\n\nnamespace arca {\n\n" . indent(implode("\n\n", $arca)) . "\n}\n";
}

function classStub(string $class, ?string $name = null): string
{
    $c = new ReflectionClass($class);
    $members = [];
    foreach ($c->getProperties(ReflectionProperty::IS_PUBLIC) as $p) {
        $members[] = comment($p) . 'public ' . ($p->isStatic() ? 'static ' : '') . ($p->isReadOnly() ? 'readonly ' : '')
            . type($p->getType()) . '$' . $p->getName() . ';';
    }
    foreach ($c->getMethods(ReflectionMethod::IS_PUBLIC) as $m) {
        if (str_contains((string) $m->getDocComment(), '@internal')) {
            continue;
        }
        $members[] = functionStub($m, 'public ' . ($m->isStatic() ? 'static ' : ''));
    }
    return comment($c) . 'final class ' . ($name ?? $c->getShortName()) . "\n{\n" . indent(implode("\n\n", $members)) . "\n}";
}

function functionStub(ReflectionFunctionAbstract $f, string $modifiers): string
{
    $parameters = array_map(function (ReflectionParameter $p): string {
        $default = '';
        if ($p->isDefaultValueAvailable()) {
            $default = ' = ' . match ($p->getDefaultValue()) {
                [] => '[]',
                null => 'null',
                default => $p->isDefaultValueConstant()
                    ? '\\' . $p->getDefaultValueConstantName()
                    : var_export($p->getDefaultValue(), true),
            };
        }
        return type($p->getType()) . '$' . $p->getName() . $default;
    }, $f->getParameters());
    $list = implode(', ', $parameters);
    if (strlen($list) > 100) {
        $list = "\n" . indent(implode(",\n", $parameters)) . ",\n";
    }
    $brace = str_contains($list, "\n") ? ' {' : "\n{";
    $returns = $f->hasReturnType() ? ': ' . rtrim(type($f->getReturnType())) : '';
    return comment($f) . $modifiers . 'function ' . $f->getShortName() . "($list)$returns$brace\n}";
}

function type(?ReflectionType $type): string
{
    return $type === null ? '' : preg_replace('/(?<![\w\\\\])([A-Z]\w*(\\\\\w+)*|arca\\\\\w+|(Psr|Symfony)(\\\\\w+)+)/', '\\\\$1', (string) $type) . ' ';
}

function comment(ReflectionClass|ReflectionProperty|ReflectionFunctionAbstract $of): string
{
    $comment = $of->getDocComment();
    return $comment === false ? '' : preg_replace('/^[ \t]+\*/m', ' *', $comment) . "\n";
}

function indent(string $text): string
{
    return preg_replace('/^(?=.)/m', '    ', $text);
}

if (get_included_files()[0] === __FILE__) {
    echo stubs();
}
