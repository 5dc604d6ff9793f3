// A carrier's jobs with java.net.http: a check, a manifest, the feed, and when to ask again.
// java docs/snippets/Carrier.java (Java 17 and newer). Read answers with the JSON library that you
// have: the patterns here only keep this file free of any.

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

public class Carrier {
    static final Duration BUDGET = Duration.ofSeconds(10);
    static final Duration TRY = Duration.ofSeconds(2);
    static final Set<Integer> AGAIN = Set.of(0, 408, 429, 500, 502, 503, 504);
    static final String URL = System.getenv("CLEARWAY_URL");
    static final String KEY = System.getenv("CLEARWAY_API_KEY");
    static final HttpClient HTTP = HttpClient.newBuilder().connectTimeout(TRY).build();

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
                waitS = answer.headers().firstValue("retry-after")
                    .filter(each -> each.matches("[0-9]{1,4}"))
                    .map(Double::valueOf).orElse(pauseS);
            } catch (IOException lost) {
                // nobody there, cut off, or too slow: as if it were a 503
            }
            waitS *= 1 + Math.random() / 4; // jitter: not all at once
            if (!AGAIN.contains(status) || System.nanoTime() + waitS * 1e9 > deadline) {
                throw new IllegalStateException("no answer (" + status + "): the manual procedure");
            }
            Thread.sleep((long) (waitS * 1000));
        }
    }

    static List<String> all(String field, String json) {
        var found = Pattern.compile("\"" + field + "\":\"([^\"]*)\"").matcher(json).results();
        return found.map((MatchResult each) -> each.group(1)).toList();
    }

    static String document(String number) {
        return "{\"document\": {\"type\": \"resident_id\", \"number\": \"" + number + "\"}";
    }

    static String check(String number) throws InterruptedException {
        String answer = ask("/v1/check", document(number) + ", \"journey\": {\"mode\": \"air\"}}");
        return (all("decision", answer).get(0) + " " + String.join(" ", all("code", answer))).strip();
    }

    public static void main(String[] none) throws InterruptedException {
        String listed = System.getenv("LISTED"), free = System.getenv("FREE");
        System.out.println("listed: " + check(listed));
        System.out.println("free: " + check(free));

        // At most 1,000 items; the results stand in their order, and one may be an `error`.
        String items = document(listed) + "}, " + document(free) + "}";
        String batch = "{\"journey\": {\"mode\": \"air\"}, \"items\": [" + items + "]}";
        var decisions = all("decision", ask("/v1/check/batch", batch));
        System.out.println("manifest: " + String.join(" ", decisions));

        // Save `position`, and begin there the next time; a 410 says from where to begin anew.
        for (String position = System.getenv("SAVED"); ; ) {
            String after = position == null ? "" : "&after=" + URLEncoder.encode(position, StandardCharsets.UTF_8);
            String page = ask("/v1/changes?wait_ms=500" + after, null);
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
