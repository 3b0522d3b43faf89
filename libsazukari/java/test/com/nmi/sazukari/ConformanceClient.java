package com.nmi.sazukari;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.PosixFilePermissions;

/** The program that `sazukari conformance` tests the binding with. */
public final class ConformanceClient {
    public static void main(String[] args) throws IOException {
        SazukariServerKey key = SazukariServerKey.read(new File(args[2]));
        Path saved = Paths.get(args[3]);
        byte[] session = Files.exists(saved) ? Files.readAllBytes(saved) : null;
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        SazukariConnection c = null;
        int code = 0;
        try {
            for (;;) {
                byte[] message = new byte[in.readInt()];
                in.readFully(message);
                if (c == null || !c.isUsable()) {
                    if (c != null) {
                        session = c.session();
                        c.close();
                    }
                    c = SazukariConnection.connect(args[0], Integer.parseInt(args[1]), key, session, Integer.parseInt(args[4]));
                }
                byte[] response = c.send(message);
                save(saved, c.session());
                out.writeInt(response.length);
                out.write(response);
                out.flush();
            }
        } catch (EOFException e) {
            // No more messages.
        } catch (SazukariException e) {
            System.err.println(e.getMessage());
            code = e.getCode().number();
            if (c != null) {
                save(saved, c.session());
            }
        } finally {
            if (c != null) {
                c.close();
            }
        }
        System.exit(code);
    }

    private static void save(Path file, byte[] session) throws IOException {
        if (!Files.exists(file)) {
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        }
        Files.write(file, session);
    }
}
