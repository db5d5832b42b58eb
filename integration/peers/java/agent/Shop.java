// A shop of two services with SkyWalking's agent for Java, which knows its classes by ShopPlugin: `NAME-web` takes requests,
// passes each to another thread, and calls `NAME-stock` over HTTP.
//
// Each service is a process of its own. Prints `stock ADDRESS` once both run, and ends once the agents had time to report.
//
// Arguments: web NAME REQUESTS SLOW (requests of half a second, for profilers), or stock

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.ArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

public final class Shop {
    private static final String HOST = "127.0.0.1";
    // What agents need to send what they have, in milliseconds.
    private static final long GRACE = 3000;
    private static final String LISTENS = "listens ";

    public static void main(String[] arguments) {
        try {
            if (arguments[0].equals("stock")) {
                System.out.println(LISTENS + serve(new Stock()));
                System.in.transferTo(OutputStream.nullOutputStream());
                Thread.sleep(GRACE);
            } else {
                // It ends after the stock, which gives its own agent the time.
                web(arguments[1], Integer.parseInt(arguments[2]), Integer.parseInt(arguments[3]));
            }
            System.exit(0);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static void web(String name, int requests, int slow) throws Exception {
        var command = new ArrayList<String>();
        command.add(ProcessHandle.current().info().command().orElseThrow());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-cp");
        command.add(System.getProperty("java.class.path"));
        command.add("Shop");
        command.add("stock");
        var builder = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("SW_AGENT_NAME", name + "-stock");
        builder.environment().put("SW_AGENT_INSTANCE_NAME", name + "-stock-1");
        Process stock = builder.start();
        // The agent prints too.
        var printed = new BufferedReader(new InputStreamReader(stock.getInputStream()));
        var line = printed.readLine();
        while (!line.startsWith(LISTENS)) {
            line = printed.readLine();
        }
        var address = HOST + ":" + line.substring(LISTENS.length());
        System.out.println("stock " + address);
        var web = new Web(address);
        int own = serve(web);
        for (int number = 0; number < requests; number++) {
            order(own, number % 2 == 0 ? "stock" : "missing");
            // So that OAP knows whose address it is before the next call.
            Thread.sleep(1000);
        }
        for (int number = 0; number < slow; number++) {
            order(own, "slow");
        }
        stock.getOutputStream().close();
        var writer = new PrintWriter(System.out);
        printed.transferTo(writer);
        writer.flush();
        stock.waitFor();
    }

    // A request that the agent does not see, so that the shop is where traces begin.
    private static void order(int port, String page) throws IOException {
        var connection = (HttpURLConnection) new URL("http://" + HOST + ":" + port + "/order?" + page).openConnection();
        connection.setRequestMethod("POST");
        connection.setReadTimeout(20_000);
        connection.getResponseCode();
        connection.disconnect();
    }

    private static int serve(HttpHandler handler) throws IOException {
        var server = HttpServer.create(new InetSocketAddress(HOST, 0), 0);
        server.createContext("/", handler);
        server.setExecutor(Executors.newFixedThreadPool(2, Shop::daemon));
        server.start();
        return server.getAddress().getPort();
    }

    private static Thread daemon(Runnable work) {
        var thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private static void answer(HttpExchange exchange, int status, String body) throws IOException {
        exchange.sendResponseHeaders(status, body.length());
        exchange.getResponseBody().write(body.getBytes());
        exchange.close();
    }

    static final class Web implements HttpHandler {
        private final ExecutorService workers = Executors.newFixedThreadPool(2, Shop::daemon);
        private final String stock;

        Web(String stock) {
            this.stock = stock;
        }

        @Override
        public void handle(HttpExchange exchange) throws IOException {
            var page = exchange.getRequestURI().getQuery();
            Log.write("WARN", "ordered");
            try {
                if (page.equals("slow")) {
                    busy();
                } else {
                    workers.submit(new Work(stock, page)).get();
                }
            } catch (Exception error) {
                throw new IOException(error);
            }
            answer(exchange, 200, "ordered");
        }

        // Works, so that a profiler sees where.
        private static void busy() {
            long end = System.nanoTime() + 500_000_000;
            long sum = 0;
            while (System.nanoTime() < end) {
                sum += sum % 7 + 1;
            }
            if (sum == 0) {
                throw new IllegalStateException();
            }
        }
    }

    static final class Stock implements HttpHandler {
        @Override
        public void handle(HttpExchange exchange) throws IOException {
            boolean isThere = exchange.getRequestURI().getPath().equals("/stock");
            Log.write(isThere ? "INFO" : "ERROR", "looked up");
            answer(exchange, isThere ? 200 : 404, isThere ? "1" : "none");
        }
    }

    static final class Work implements Runnable {
        private final String stock;
        private final String page;

        Work(String stock, String page) {
            this.stock = stock;
            this.page = page;
        }

        @Override
        public void run() {
            try {
                var url = new URL("http://" + stock + "/" + page);
                new Client().get((HttpURLConnection) url.openConnection());
            } catch (IOException error) {
                throw new IllegalStateException(error);
            }
        }
    }

    static final class Client {
        int get(HttpURLConnection connection) throws IOException {
            int status = connection.getResponseCode();
            connection.disconnect();
            return status;
        }
    }

    static final class Log {
        static void write(String level, String message) {}
    }
}
