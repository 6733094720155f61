using System.Globalization;
using Spectre.Console;

namespace Collective.Stress.Demo;

/// <summary>Shows a run of the demo while it goes on.</summary>
internal interface IDemoDisplay
{
    /// <summary>Called after each event.</summary>
    void Update(DemoProgress progress);
}

/// <summary>Shows nothing: for <c>--json</c>, where standard output belongs to the report.</summary>
internal sealed class NoDisplay : IDemoDisplay
{
    public void Update(DemoProgress progress)
    {
    }
}

/// <summary>Plain lines, for logs and pipes.</summary>
internal sealed class LineDisplay(TextWriter output) : IDemoDisplay
{
    private const int LinesPerRun = 16;

    private int _sentencesShown;
    private int _stepShown;

    public void Update(DemoProgress progress)
    {
        foreach (var sentence in progress.Story.Skip(_sentencesShown))
        {
            output.WriteLine(sentence);
        }

        _sentencesShown = progress.Story.Count;
        if (progress.Step >= _stepShown + Math.Max(1, progress.Plan.Steps / LinesPerRun))
        {
            _stepShown = progress.Step;
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"step {progress.Step} of {progress.Plan.Steps}, world size {progress.WorldSize}, loss {progress.Loss:F4}, {progress.SamplesPerSecond:N0} images/s"));
        }
    }
}

/// <summary>A picture that changes in place, for a person at a terminal.</summary>
internal sealed class LiveDisplay(LiveDisplayContext context) : IDemoDisplay
{
    private const int SentencesMax = 12;
    private const int BarWidth = 50;

    private long _drawnAt;

    public void Update(DemoProgress progress)
    {
        // Drawing costs time that the peers need; 15 pictures a second look smooth enough.
        var now = Environment.TickCount64;
        if (now - _drawnAt >= 66 || progress.Survivors.All(peer => peer.Status is PeerStatus.Done or PeerStatus.Failed))
        {
            _drawnAt = now;
            context.UpdateTarget(Picture(progress));
            context.Refresh();
        }
    }

    /// <summary>The whole picture.</summary>
    public static Rows Picture(DemoProgress progress) => new(Headline(progress), PeerTable(progress), Story(progress));

    private static Markup Headline(DemoProgress progress)
    {
        var plan = progress.Plan;
        var filled = BarWidth * progress.Step / plan.Steps;
        return new Markup(string.Create(
            CultureInfo.InvariantCulture,
            $"[green]{new string('━', filled)}[/][grey]{new string('━', BarWidth - filled)}[/]  step [bold]{progress.Step}[/] of {plan.Steps}"
            + $"   world size [bold]{progress.WorldSize}[/]   loss [bold]{progress.Loss:F4}[/]   [bold]{progress.SamplesPerSecond:N0}[/] images/s"));
    }

    private static Table PeerTable(DemoProgress progress)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("peer", "process", "status", "rank", "step", "loss", "images/s", "sent", "state received");
        foreach (var index in Enumerable.Range(4, 4))
        {
            table.Columns[index].RightAligned();
        }

        foreach (var peer in progress.Peers)
        {
            var isLost = peer.Status is PeerStatus.Dying or PeerStatus.Killed;
            table.AddRow(
                peer.Name,
                Text(peer.ProcessId),
                $"[{Colour(peer.Status)}]{peer.Status.ToString().ToLowerInvariant()}[/]",
                isLost ? "" : Text(peer.Rank),
                Text(peer.Step),
                peer.Loss.ToString("F4", CultureInfo.InvariantCulture),
                isLost ? "" : peer.SamplesPerSecond.ToString("N0", CultureInfo.InvariantCulture),
                Bytes.Text(peer.BytesSent),
                Bar(peer.Receiving));
        }

        return table;
    }

    /// <summary>How much of the others' state a newcomer has.</summary>
    private static string Bar(DemoEvent.Receiving? receiving)
    {
        const int Width = 12;
        if (receiving is not { BytesTotal: > 0 })
        {
            return "";
        }

        var filled = (int)(Width * receiving.BytesDone / receiving.BytesTotal);
        return $"[green]{new string('━', filled)}[/][grey]{new string('━', Width - filled)}[/] {Bytes.Text(receiving.BytesDone)}";
    }

    private static Rows Story(DemoProgress progress)
        => new(progress.Story.TakeLast(SentencesMax).Select(sentence => new Markup($"[grey]•[/] {Markup.Escape(sentence)}")));

    private static string Colour(PeerStatus status) => status switch
    {
        PeerStatus.Training or PeerStatus.Done => "green",
        PeerStatus.Dying or PeerStatus.Killed or PeerStatus.Failed => "red",
        _ => "yellow",
    };

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
