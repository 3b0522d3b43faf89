<?php

declare(strict_types=1);

// phpcs:disable PSR1.Classes.ClassDeclaration.MultipleClasses

namespace snapshot {
    class Base
    {
        private array $secret = ['base'];

        public function stain(): void
        {
            $this->secret[] = 'stained';
        }

        public function secret(): array
        {
            return $this->secret;
        }
    }

    final class Thing extends Base
    {
        public static array $all = ['one'];
        public static ?int $count;
        protected ?Thing $next = null;
        private string $secret = 'own';
        public int $number;
        /** @var mixed */
        public $any;

        public function __construct(public readonly string $name)
        {
        }

        public function link(?Thing $next): static
        {
            $this->next = $next;
            return $this;
        }

        public function see(): array
        {
            return [$this->name, $this->secret(), $this->secret, $this->next?->see(), get_object_vars($this)];
        }

        public function stainOwn(): void
        {
            $this->secret = 'stained';
        }
    }

    final class Once
    {
        public readonly int $number;
        public int $after = 1;

        public function stain(): void
        {
            $this->number = $this->after = 2;
        }
    }
}

namespace {
    use arca\Snapshot;
    use PHPUnit\Framework\TestCase;
    use snapshot\Thing;

    final class SnapshotTest extends TestCase
    {
        public function testProperties(): void
        {
            $inner = new Thing('inner');
            $thing = (new Thing('thing'))->link($inner);
            $thing->any = ['deep' => [$inner, 1], 'object' => (object) ['x' => 1]];
            $object = $thing->any['object'];
            $before = $thing->see();
            $snapshot = new Snapshot([$thing], '{^snapshot\\\\}');
            for ($i = 0; $i < 2; $i++) {
                $thing->stain();
                $thing->stainOwn();
                $thing->link(new Thing('other'))->number = 7;
                $inner->stain();
                $inner->link($thing);
                $object->x = 2;
                $object->y = 3;
                unset($thing->any['deep'][0], $inner->any);
                $snapshot->restore();
                self::assertSame($before, $thing->see());
                self::assertSame(['x' => 1], (array) $object);
                self::assertFalse((new ReflectionProperty($thing, 'number'))->isInitialized($thing));
            }
        }

        /** What only a closure refers to is reached too. */
        public function testClosures(): void
        {
            $used = new Thing('used');
            $bound = new Thing('bound');
            $closure = Closure::bind(function () use ($used): array {
                return [$this, $used];
            }, $bound);
            $snapshot = new Snapshot([(object) ['f' => [$closure]]], '{^snapshot\\\\}');
            $used->any = $bound->any = 'stained';
            $snapshot->restore();
            self::assertNull($used->any);
            self::assertNull($bound->any);
        }

        /** A readonly property stays what it was set to; the others are put back, and it is named. */
        public function testReadonly(): void
        {
            $once = new \snapshot\Once();
            $snapshot = new Snapshot([$once], '{^snapshot\\\\}');
            self::assertNull($snapshot->restore());
            $once->stain();
            self::assertSame('Cannot unset readonly property snapshot\Once::$number', $snapshot->restore());
            self::assertSame(1, $once->after);
            self::assertSame(2, $once->number);
        }

        public function testStaticProperties(): void
        {
            Thing::$all = ['one', $thing = new Thing('static')];
            $snapshot = new Snapshot([], '{^snapshot\\\\}');
            $thing->any = 'stained';
            Thing::$all[] = 'stained';
            eval('namespace snapshot; class Late { public static array $all = [1]; } Late::$all[] = 2;');
            $snapshot->restore();
            self::assertSame(['one', $thing], Thing::$all);
            self::assertNull($thing->any);
            self::assertSame([1], \snapshot\Late::$all); // its default
            Thing::$all = ['one'];
        }

        /** A property that is a reference doesn't change the copy. */
        public function testReferences(): void
        {
            $thing = new Thing('thing');
            $value = ['before'];
            $thing->any = &$value;
            $snapshot = new Snapshot([$thing], '{^snapshot\\\\}');
            $value[] = 'stained';
            $snapshot->restore();
            self::assertSame(['before'], $thing->any);
        }

        /** A value that contains itself ends. */
        public function testRecursion(): void
        {
            $thing = new Thing('thing');
            $array = [1];
            $array['self'] = &$array;
            $thing->link($thing)->any = [$array];
            $snapshot = new Snapshot([$thing], '{^snapshot\\\\}');
            $thing->link(null);
            $snapshot->restore();
            self::assertSame($thing, ((array) $thing)["\0*\0next"]);
        }
    }
}
