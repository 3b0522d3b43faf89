<?php
// What the tests ask of a worker: the first word of the message names it.

$calls = ['init' => 0, 'start' => 0, 'stop' => 0];
$leak = [];

$ARCANGELO_USERSPACE = [
    'on_init' => function () { global $calls; $calls['init']++; $calls['token'] = strlen(arca::$token); },
    'on_start' => function () { global $calls; $calls['start']++; },
    'on_stop' => function () { global $calls; $calls['stop']++; },
    'on_handle' => function () {
        global $calls, $leak;
        [$what, $rest] = explode(' ', arca::$request, 2) + [1 => ''];
        switch ($what) {
            case 'echo': return $rest;
            case 'pid': return (string) getmypid();
            case 'calls': return json_encode($calls);
            case 'who': return implode(' ', [bin2hex(arca::$guid), bin2hex(arca::$token), arca::$client_ip, var_export(arca::$client_port, true)]);
            case 'where': return implode("\n", [getcwd(), $GLOBALS['argv'][1], (require 'part.php'), get_resource_type(STDIN), get_resource_type(STDOUT), get_resource_type(STDERR), ini_get('opcache.enable_cli'), ini_get('memory_limit')]);
            case 'repeat': return str_repeat('x', (int) $rest);
            case 'nothing': return;
            case 'number': return 42;
            case 'array': return [];
            case 'parts': return (function () use ($rest) { foreach (str_split($rest, 3) as $part) { yield $part; } })();
            case 'bigparts': return (function () use ($rest) { for ($i = 0; $i < (int) $rest; $i++) { yield str_repeat(chr(97 + $i % 26), 100_000); } })();
            case 'halfway': return (function () { yield 'half'; throw new LogicException('thrown halfway'); })();
            case 'print': echo "printed\n"; fwrite(STDOUT, "to stdout\n"); fwrite(STDERR, "to stderr\n"); arca::log('logged'); trigger_error('noticed'); $undefined .= 'x'; return 'done';
            case 'flood': for ($i = 0; $i < (int) $rest; $i++) { echo "line $i\n"; } return 'done';
            case 'buffer': ob_start(); echo 'left open'; return 'done';
            case 'throw': throw new RuntimeException('thrown on purpose');
            case 'destruct': return new class () { public function __toString(): string { return 'whole'; } public function __destruct() { throw new RuntimeException('thrown by a destructor'); } };
            case 'exit': exit($rest);
            case 'fatal': return undefined_function();
            case 'redeclare': eval('class arca {}'); return '';
            case 'eat': $s = ''; while (true) { $s .= str_repeat('x', 1 << 20); }
            case 'leak': $leak[] = str_repeat('x', (int) $rest); return (string) count($leak);
            case 'sleep': usleep(1000 * (int) $rest); return 'slept';
            case 'until': while (!file_exists($rest)) { usleep(1000); clearstatcache(); } return 'at last';
            case 'deaf': pcntl_async_signals(true); pcntl_signal(SIGTERM, fn () => null); while (true) { sleep(100); }
            case 'slowend': register_shutdown_function(fn () => sleep(3)); return 'done';
            case 'leakthrow': $leak[] = str_repeat('x', (int) $rest); throw new RuntimeException('leaked');
            case 'segfault': posix_kill(getmypid(), SIGSEGV); sleep(10);
            case 'user': return posix_geteuid() . ' ' . implode(',', posix_getgroups()) . ' ' . (@file_get_contents($rest) === false ? 'unreadable' : 'readable');
            case 'file': return file_get_contents($rest);
            case 'env': return (string) getenv($rest);
            case 'ini': return (string) ini_get($rest);
            case 'fds': return implode(' ', array_filter(array_map(fn ($f) => @readlink("/proc/self/fd/$f"), scandir('/proc/self/fd'))));
            case 'fork': // a child that outlives its parent
                $pid = pcntl_fork();
                if ($pid === 0) { sleep(1000); exit; }
                return (string) $pid;
            case 'forkexit': if (pcntl_fork() === 0) { exit; } return 'the parent';
            case 'forkreturn': return pcntl_fork() === 0 ? 'the child' : 'the parent';
            case 'orphan': exec('setsid sleep 20 >/dev/null 2>&1 &'); posix_kill(getmypid(), SIGKILL); sleep(10);
            case 'die': die('the reason');
            case 'longthrow': throw new RuntimeException(str_repeat('x', 100_000));
            case 'badframe': fwrite(fopen('php://fd/4', 'wb'), 'nonsense of a script'); return 'done';
            case 'late': // nonsense after the response
                register_shutdown_function(fn () => null);
                $pid = pcntl_fork();
                if ($pid === 0) { usleep(50_000); fwrite(fopen('php://fd/4', 'wb'), str_repeat("\x01", 64)); posix_kill(getmypid(), SIGKILL); }
                return 'done';
            case 'closefds': fclose(fopen('php://fd/3', 'rb')); FFI::cdef('int close(int);')->close(4); return 'done';
        }
        return "what is $what?";
    },
];
