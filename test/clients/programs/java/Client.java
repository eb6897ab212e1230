import java.io.IOException;
import java.io.InputStream;
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

/**
 * {@code Client CLIENT URL ...}: fetches each URL with its client and prints the body; of any answer but a success it prints status and
 * body on standard error and ends with 1. {@code websocket} says hello to a WebSocket and prints what comes back. The proxy comes from the
 * system properties https.proxyHost and the like; the credentials, for which Java has no property, from -Dproxy.user and -Dproxy.password.
 */
final class Client {
    public static void main(String[] arguments) throws Exception {
        Authenticator credentials = credentials();
        if (credentials != null) Authenticator.setDefault(credentials);
        for (int index = 0; index < arguments.length; index += 2) {
            URI url = URI.create(arguments[index + 1]);
            switch (arguments[index]) {
                case "client" -> client(url, credentials);
                case "connection" -> connection(url);
                case "websocket" -> webSocket(url, credentials);
                default -> throw new IllegalArgumentException(arguments[index]);
            }
        }
    }

    private static Authenticator credentials() {
        String user = System.getProperty("proxy.user");
        if (user == null) return null;
        return new Authenticator() {
            @Override
            protected PasswordAuthentication getPasswordAuthentication() {
                if (getRequestorType() != RequestorType.PROXY) return null;
                return new PasswordAuthentication(user, System.getProperty("proxy.password").toCharArray());
            }
        };
    }

    private static HttpClient.Builder builder(Authenticator credentials) {
        HttpClient.Builder builder = HttpClient.newBuilder();
        return credentials == null ? builder : builder.authenticator(credentials);
    }

    private static void client(URI url, Authenticator credentials) throws Exception {
        var response = builder(credentials).build().send(HttpRequest.newBuilder(url).build(), BodyHandlers.ofString());
        answer(response.version() + " " + response.statusCode(), response.statusCode(), response.body());
    }

    private static void connection(URI url) throws IOException {
        var connection = (HttpURLConnection) url.toURL().openConnection();
        int status = connection.getResponseCode();
        try (InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
            answer("HTTP_1_1 " + status, status, body == null ? "" : new String(body.readAllBytes(), StandardCharsets.UTF_8));
        }
    }

    private static void webSocket(URI url, Authenticator credentials) throws Exception {
        var said = new CompletableFuture<String>();
        var closed = new CompletableFuture<Void>();
        var listener = new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence text, boolean last) {
                said.complete(text.toString());
                socket.request(1);
                return null;
            }

            @Override
            public CompletionStage<?> onClose(WebSocket socket, int status, String reason) {
                closed.complete(null);
                return null;
            }

            @Override
            public void onError(WebSocket socket, Throwable error) {
                said.completeExceptionally(error);
            }
        };
        WebSocket socket = builder(credentials).build().newWebSocketBuilder().buildAsync(url, listener).get(20, TimeUnit.SECONDS);
        socket.sendText("hello", true);
        System.out.print(said.get(20, TimeUnit.SECONDS));
        socket.sendClose(WebSocket.NORMAL_CLOSURE, "").get(20, TimeUnit.SECONDS);
        closed.get(20, TimeUnit.SECONDS);
    }

    private static void answer(String said, int status, String body) {
        if (status < 300) {
            System.out.print(body);
            return;
        }
        System.err.println(said + " " + body);
        System.exit(1);
    }

    private Client() {}
}
