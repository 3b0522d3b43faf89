<?php

declare(strict_types=1);

namespace arca;

/**
 * Keeps the properties of objects as they are, and puts them back: of all objects that
 * can be reached from some, and the static properties of some classes.
 *
 * Objects stay the same ones, so whatever refers to them is right. The elements of
 * PHP's own collections, as SplObjectStorage, aren't kept.
 *
 * @internal
 */
final class Snapshot
{
    /** How deep arrays are nested that objects are looked for in. */
    private const DEPTH = 64;

    /** @var list<array{object, array<array-key, mixed>}> objects and their properties, by the names that a cast to an array gives them */
    private array $objects = [];
    /** @var list<array{\ReflectionProperty, mixed}> static properties with their values */
    private array $statics = [];
    /** Classes that were looked at already. */
    private int $classes = 0;
    /** @var array<int, object> objects that were looked at, by their id: alive, so that no other gets it */
    private array $seen = [];
    /** @var list<array{mixed, int}> values that are yet to be looked at, with the depth of arrays around them */
    private array $open = [];
    /** Why a property can't be put back. */
    private ?string $failure = null;
    /** @var array<string, \Closure> what sets properties, by the class that declares them */
    private array $setters = [];

    /**
     * @param list<object> $roots
     * @param string       $pattern of the names of classes
     */
    public function __construct(array $roots, private readonly string $pattern)
    {
        foreach ($this->newStatics() as $property) {
            if ($property->isInitialized()) {
                $this->statics[] = [$property, $property->getValue()];
            }
        }
        $this->open = [[[$roots, array_column($this->statics, 1)], 0]];
        while (null !== $next = array_pop($this->open)) {
            $this->visit(...$next);
        }
        $this->seen = [];
    }

    /**
     * Puts all properties back. Static properties of classes that were loaded meanwhile
     * get their defaults. It returns why a property can't be put back, as one that is
     * readonly and was set meanwhile; null: all are.
     */
    public function restore(): ?string
    {
        $this->failure = null;
        foreach ($this->objects as [$object, $properties]) {
            if (get_mangled_object_vars($object) !== $properties) {
                $this->restoreObject($object, $properties);
            }
        }
        foreach ($this->newStatics() as $property) {
            if ($property->hasDefaultValue()) {
                $this->statics[] = [$property, $property->getDefaultValue()];
            }
        }
        foreach ($this->statics as [$property, $value]) {
            if ($property->getValue() !== $value) {
                $property->setValue(null, $value);
            }
        }
        return $this->failure;
    }

    /** @return iterable<\ReflectionProperty> the static properties of classes that were loaded since the last call */
    private function newStatics(): iterable
    {
        $classes = get_declared_classes();
        foreach (array_slice($classes, $this->classes) as $class) {
            if (preg_match($this->pattern, $class)) {
                foreach ((new \ReflectionClass($class))->getProperties(\ReflectionProperty::IS_STATIC) as $property) {
                    if ($property->class === $class) {
                        yield $property;
                    }
                }
            }
        }
        $this->classes = count($classes);
    }

    /** Looks at a value, and leaves those within it for later. */
    private function visit(mixed $value, int $depth): void
    {
        if (is_array($value)) {
            foreach ($depth < self::DEPTH ? $value : [] as $element) {
                if (is_array($element) || is_object($element)) {
                    $this->open[] = [$element, $depth + 1];
                }
            }
            return;
        }
        $id = spl_object_id($value);
        if (isset($this->seen[$id]) || $value instanceof \UnitEnum || str_starts_with($value::class, __NAMESPACE__ . '\\')) {
            return;
        }
        $this->seen[$id] = $value;
        if ($value instanceof \Closure) {
            $function = new \ReflectionFunction($value);
            $this->open[] = [[$function->getClosureThis(), $function->getStaticVariables()], 0];
            return;
        }
        $properties = [];
        foreach (get_mangled_object_vars($value) as $name => $property) { // a copy without references
            $properties[$name] = $property;
        }
        $this->objects[] = [$value, $properties];
        $this->open[] = [$properties, 0];
    }

    /** @param array<array-key, mixed> $before */
    private function restoreObject(object $object, array $before): void
    {
        $now = get_mangled_object_vars($object);
        foreach ($before + $now as $name => $value) {
            $is = array_key_exists($name, $before);
            if (!$is || !array_key_exists($name, $now) || $now[$name] !== $value) {
                $parts = explode("\0", (string) $name); // a class or * before the name of a property that isn't public
                $class = ($parts[1] ?? '*') === '*' ? $object::class : $parts[1];
                try {
                    ($this->setters[$class] ??= self::setter($class))($object, end($parts), $is, $value);
                } catch (\Throwable $e) {
                    $this->failure ??= $e->getMessage();
                }
            }
        }
    }

    /** Returns what sets or unsets a property of objects, as a method of the class would. */
    private static function setter(string $class): \Closure
    {
        $setter = static function (object $object, string $name, bool $is, mixed $value): void {
            if ($is) {
                $object->$name = $value;
            } else {
                unset($object->$name);
            }
        };
        return (new \ReflectionClass($class))->isInternal() ? $setter : \Closure::bind($setter, null, $class);
    }
}
