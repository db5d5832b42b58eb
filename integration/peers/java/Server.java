// As python/http_server.py, with the server of the JDK. Arguments: ADDRESS PORT.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class Server {
    public static void main(String[] arguments) throws IOException {
        var server = HttpServer.create(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])), 0);
        server.createContext("/", Server::answer);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }

    private static void answer(HttpExchange exchange) throws IOException {
        long received = exchange.getRequestBody().transferTo(java.io.OutputStream.nullOutputStream());
        var path = exchange.getRequestURI().getPath();
        var parts = path.split("/");
        int status = parts[1].equals("status") ? Integer.parseInt(parts[2]) : 200;
        byte[] body = switch (parts[1]) {
            case "status" -> (status == 204 || status == 304 ? "" : "status " + status).getBytes();
            case "count" -> String.valueOf(received).getBytes();
            default -> "x".repeat(Integer.parseInt(parts[2])).getBytes();
        };
        boolean isHead = exchange.getRequestMethod().equals("HEAD");
        int sent = isHead ? 0 : body.length;
        System.out.printf(
                "{\"method\": \"%s\", \"path\": \"%s\", \"status\": %d, \"received\": %d, \"sent\": %d}%n",
                exchange.getRequestMethod(), path, status, received, sent);
        if (isHead) {
            exchange.getResponseHeaders().set("Content-Length", String.valueOf(body.length));
        }
        // 0 stands for a length that is not told, -1 for no body.
        long length = isHead || body.length == 0 ? -1 : parts[1].equals("chunked") ? 0 : body.length;
        exchange.sendResponseHeaders(status, length);
        if (length != -1) {
            int third = body.length / 3 + 1;
            for (int start = 0; start < body.length; start += third) {
                exchange.getResponseBody().write(body, start, Math.min(third, body.length - start));
                exchange.getResponseBody().flush();
            }
        }
        exchange.close();
    }
}
