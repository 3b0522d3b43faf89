package dev.megaki;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads the vectors, which are well formed. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> read(String name) throws IOException {
        File file = new File(System.getProperty("vectors", "../../../vectors"), name);
        return (Map<String, Object>) new Json(new String(Files.readAllBytes(file.toPath()), "UTF-8")).value();
    }

    private char next() {
        while (Character.isWhitespace(text.charAt(at))) {
            at++;
        }
        return text.charAt(at);
    }

    private Object value() {
        switch (next()) {
            case '{':
                Map<String, Object> object = new LinkedHashMap<String, Object>();
                while (next() != '}') {
                    at++; // { or ,
                    if (next() == '}') {
                        break;
                    }
                    String name = string();
                    next();
                    at++;
                    object.put(name, value());
                }
                at++;
                return object;
            case '[':
                List<Object> list = new ArrayList<Object>();
                while (next() != ']') {
                    at++;
                    if (next() == ']') {
                        break;
                    }
                    list.add(value());
                }
                at++;
                return list;
            case '"':
                return string();
            default:
                int begin = at;
                while (",]}".indexOf(text.charAt(at)) < 0 && !Character.isWhitespace(text.charAt(at))) {
                    at++;
                }
                return text.substring(begin, at);
        }
    }

    private String string() {
        StringBuilder s = new StringBuilder();
        next();
        for (at++; text.charAt(at) != '"'; at++) {
            char c = text.charAt(at);
            if (c == '\\') {
                c = text.charAt(++at);
                if (c == 'u') {
                    c = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                    at += 4;
                } else if (c == 'n') {
                    c = '\n';
                }
            }
            s.append(c);
        }
        at++;
        return s.toString();
    }

    static byte[] hex(Object hex) {
        String s = hex == null ? "" : (String) hex;
        byte[] out = new byte[s.length() / 2];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) Integer.parseInt(s.substring(2 * i, 2 * i + 2), 16);
        }
        return out;
    }
}
