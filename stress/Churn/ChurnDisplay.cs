using System.Globalization;
using Spectre.Console;

namespace Collective.Stress.Churn;

/// <summary>Shows a run of the churn program while it goes on.</summary>
internal interface IChurnDisplay
{
    /// <summary>Called every second.</summary>
    void Update(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events);
}

/// <summary>Shows nothing: for <c>--json</c>, where standard output belongs to the report.</summary>
internal sealed class NoChurnDisplay : IChurnDisplay
{
    public void Update(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events)
    {
    }
}

/// <summary>Plain lines, for logs and pipes.</summary>
internal sealed class LineChurnDisplay(TextWriter output) : IChurnDisplay
{
    private static readonly TimeSpan _summaryInterval = TimeSpan.FromSeconds(10);

    private int _shown;
    private TimeSpan _nextSummary = _summaryInterval;

    public void Update(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events)
    {
        foreach (var sentence in progress.Story.TakeLast(progress.Told - _shown))
        {
            output.WriteLine(sentence);
        }

        _shown = progress.Told;
        if (progress.Elapsed >= _nextSummary)
        {
            _nextSummary = progress.Elapsed + _summaryInterval;
            output.WriteLine(Headline(progress));
        }
    }

    public static string Headline(ChurnProgress progress) => string.Create(
        CultureInfo.InvariantCulture,
        $"{progress.Elapsed.TotalSeconds:0} of {progress.Plan.Length.TotalSeconds:0} s: {progress.Present.Count()} peers, {progress.Outcomes.Commits} operations committed, {progress.Aborted} calls aborted,"
        + $" longest stall {progress.Stalls.Longest.TotalSeconds:0.0} s, {Faults(progress)} faults found");

    public static int Faults(ChurnProgress progress)
        => progress.Failures.Count + progress.Outcomes.Divergences.Count + progress.WrongResults.Count + progress.Unrestored.Count + progress.Blame.InnocentEvictions.Count
            + progress.UnclearEvictions.Count + progress.Blame.WrongBlames.Count;
}

/// <summary>A picture that changes in place, for a person at a terminal.</summary>
internal sealed class LiveChurnDisplay(LiveDisplayContext context) : IChurnDisplay
{
    private const int SentencesMax = 12;

    public void Update(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events)
    {
        context.UpdateTarget(Picture(progress, events));
        context.Refresh();
    }

    private static Rows Picture(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumns("process", "id", "peer", "status", "world", "step");
        foreach (var subject in progress.Subjects.Where(subject => !subject.HasEnded))
        {
            table.AddRow(
                subject.Child.Index.ToString(CultureInfo.InvariantCulture),
                subject.Child.ProcessId.ToString(CultureInfo.InvariantCulture),
                subject.Peer,
                Status(subject),
                subject.WorldSize.ToString(CultureInfo.InvariantCulture),
                subject.Step.ToString(CultureInfo.InvariantCulture));
        }

        var faults = LineChurnDisplay.Faults(progress);
        return new Rows(
            new Markup($"[{(faults == 0 ? "green" : "red")}]{Markup.Escape(LineChurnDisplay.Headline(progress))}[/]"),
            new Text(string.Join("   ", events.Select(entry => $"{entry.Key.ToString().ToLowerInvariant()} {entry.Value}"))),
            table,
            new Rows(progress.Story.TakeLast(SentencesMax).Select(sentence => new Markup($"[grey]•[/] {Markup.Escape(sentence)}"))));
    }

    private static string Status(Subject subject) => subject switch
    {
        { IsKilled: true } => "[red]killed[/]",
        { IsLeaving: true } => "[yellow]leaves[/]",
        { Silence.Kind: ChurnKind.Freeze } => "[blue]frozen[/]",
        { Silence: not null } => "[blue]cut off[/]",
        { Peer.Length: 0 } => "[yellow]connects[/]",
        _ => "[green]reduces[/]",
    };
}
