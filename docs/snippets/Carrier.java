// A carrier's jobs with java.net.http: a check, a manifest, the feed, and when to ask again.
// java docs/snippets/Carrier.java (Java 17 and newer). Read answers with the JSON library that you
// have: the patterns here only keep this file free of any.

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

public class Carrier {
    static final Duration BUDGET = Duration.ofSeconds(10);
    static final Duration TRY = Duration.ofSeconds(2);
    static final Set<Integer> AGAIN = Set.of(0, 408, 429, 500, 502, 503, 504);
    static final String URL = System.getenv("CLEARWAY_URL");
    static final String KEY = System.getenv("CLEARWAY_API_KEY");
    static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(TRY).build();

    static final String JOURNEY = "\"journey\": {\"mode\": \"air\", \"departs_at\": \""
        + Instant.ofEpochSecond(Instant.now().getEpochSecond()).plus(Duration.ofDays(30)) + "\"}";

    /** A status that asking again does not change; `oldest` is where the feed can be read from. */
    static class Refused extends IllegalStateException {
        final List<String> oldest;

        Refused(int status, String problem) {
            super("refused (" + status + "): mend the request or the key");
            oldest = status == 410 ? all("oldest", problem) : List.of();
        }
    }

    /** The answer; safe for whatever changes nothing. No error repeats what was sent. */
    static String ask(String path, String body) throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(URL + path))
            .header("authorization", "Bearer " + KEY)
            .header("content-type", "application/json")
            .timeout(TRY);
        if (body != null) request.POST(HttpRequest.BodyPublishers.ofString(body));
        long deadline = System.nanoTime() + BUDGET.toNanos();
        for (double pauseS = 0.05; ; pauseS *= 2) {
            int status = 0;
            double waitS = pauseS;
            try {
                var answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
                status = answer.statusCode();
                if (status == 200) return answer.body();
                if (!AGAIN.contains(status)) throw new Refused(status, answer.body());
                waitS = answer.headers().firstValue("retry-after")
                    .filter(each -> each.matches("[0-9]{1,4}"))
                    .map(Double::valueOf).orElse(pauseS);
            } catch (IOException lost) {
                // nobody there, cut off, or too slow: as if it were a 503
            }
            waitS *= 1 + Math.random() / 4; // jitter: not all at once
            if (System.nanoTime() + waitS * 1e9 > deadline) {
                throw new IllegalStateException("no answer (" + status + "): the manual procedure");
            }
            Thread.sleep((long) (waitS * 1000));
        }
    }

    static List<String> all(String field, String json) {
        var found = Pattern.compile("\"" + field + "\":\"([^\"]*)\"").matcher(json).results();
        return found.map(each -> each.group(1)).toList();
    }

    /** What became of each item of a manifest, in order: one that cannot be read has an `error`. */
    static List<String> results(String json) {
        var found = Pattern.compile("\"decision\":\"([a-z]+)\"|\"error\":\\{").matcher(json).results();
        return found.map(each -> each.group(1) == null ? "error" : each.group(1)).toList();
    }

    static String resident(String number) {
        return "{\"type\": \"resident_id\", \"number\": \"" + number + "\"}";
    }

    static String check(String number, String name) throws InterruptedException {
        String sent = "{\"document\": " + resident(number) + ", \"name\": \"" + name + "\", " + JOURNEY + "}";
        String answer = ask("/v1/check", sent);
        return (all("decision", answer).get(0) + " " + String.join(" ", all("code", answer))).strip();
    }

    /** A page of the feed; from where it can be read, where the position is too old. */
    static String page(String position) throws InterruptedException {
        String after = position == null || position.isEmpty() ? "" : "&after=" + URLEncoder.encode(position, StandardCharsets.UTF_8);
        try {
            return ask("/v1/changes?wait_ms=500" + after, null);
        } catch (Refused refused) {
            if (refused.oldest.isEmpty()) throw refused;
            System.out.println("feed: too old a position, ask again about everybody whom you have refused");
            return page(refused.oldest.get(0));
        }
    }

    public static void main(String[] none) throws InterruptedException {
        String listed = System.getenv("LISTED"), free = System.getenv("FREE");
        System.out.println("listed: " + check(listed, System.getenv("LISTED_NAME")));
        System.out.println("free: " + check(free, "\u738b\u8bd5"));

        // At most 1,000 items; the results stand in their order. Without an issuer nobody can read 1B.
        String noIssuer = "{\"type\": \"passport\", \"number\": \"E00000000\"}";
        var documents = List.of(resident(listed), noIssuer, resident(free));
        var seats = List.of("1A", "1B", "1C");
        String items = documents.stream().map(each -> "{\"document\": " + each + "}").collect(joining(", "));
        var results = results(ask("/v1/check/batch", "{" + JOURNEY + ", \"items\": [" + items + "]}"));
        for (int at = 0; at < seats.size(); at++) {
            System.out.println("manifest " + seats.get(at) + ": " + results.get(at));
        }

        // Save `position` behind what you have dealt with, and begin there the next time.
        for (String position = System.getenv("SAVED"); ; ) {
            String page = page(position);
            var positions = all("position", page);
            position = positions.get(positions.size() - 1);
            if (all("subject", page).isEmpty()) break;
            for (String subject : all("subject", page)) {
                System.out.println("changed: ask again about " + subject);
            }
        }
        System.out.println("feed: read to its end");
    }
}
