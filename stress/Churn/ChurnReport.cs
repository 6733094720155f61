using System.Globalization;

namespace Collective.Stress.Churn;

/// <summary>Of some times: how many, the median, the 99th percentile and the longest, in milliseconds.</summary>
internal sealed record TimeFigures(int Count, double P50, double P99, double Max)
{
    public static TimeFigures Of(IEnumerable<TimeSpan> times)
    {
        var sorted = times.Order().ToList();
        return sorted.Count == 0
            ? new TimeFigures(0, 0, 0, 0)
            : new TimeFigures(sorted.Count, Percentile(50), Percentile(99), Math.Round(sorted[^1].TotalMilliseconds, 1));

        double Percentile(int percent) => Math.Round(sorted[Math.Max(0, (int)Math.Ceiling(sorted.Count * percent / 100.0) - 1)].TotalMilliseconds, 1);
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"p50 {P50,7:0.0} ms   p99 {P99,7:0.0} ms   max {Max,7:0.0} ms   ({Count})");
}

/// <summary>How a run of the churn program ended. Printed by <c>--json</c>; <c>docs/reliability.md</c> says what each line means.</summary>
internal sealed record ChurnReport
{
    private const int SentencesMax = 20;

    public required bool Passed { get; init; }

    /// <summary>One sentence for each condition that did not hold; of many of one kind the first ones.</summary>
    public required IReadOnlyList<string> Failures { get; init; }

    /// <summary>The command that repeats the run: the same events, at other moments of the peers' work.</summary>
    public required string Command { get; init; }

    public required int Seed { get; init; }

    public required double Seconds { get; init; }

    public required IReadOnlyDictionary<string, int> Events { get; init; }

    /// <summary>All-reduces, each counted once.</summary>
    public required int Committed { get; init; }

    /// <summary>Aborted calls, over all peers.</summary>
    public required int Aborted { get; init; }

    /// <summary>Calls that committed after they, or others of their batch, had been aborted; over all peers.</summary>
    public required int Retried { get; init; }

    /// <summary>Times that a peer connected again in the same process.</summary>
    public required int Reconnects { get; init; }

    /// <summary>Times that a peer's shared state was found or made equal to the others'.</summary>
    public required int Syncs { get; init; }

    /// <summary>Times that a newcomer was handed the state of the others.</summary>
    public required int Handovers { get; init; }

    /// <summary>Calls that failed because of another peer, and were made again.</summary>
    public required int FailedSyncs { get; init; }

    /// <summary>Peers killed while state was being handed over.</summary>
    public required int KillsInHandover { get; init; }

    /// <summary>From the event until the master knew, by kind.</summary>
    public required IReadOnlyDictionary<string, TimeFigures> Detection { get; init; }

    /// <summary>From detection until the new ring stood.</summary>
    public required TimeFigures Recovery { get; init; }

    /// <summary>The same, without those during which somebody was frozen or cut off.</summary>
    public required TimeFigures RecoveryUndisturbed { get; init; }

    /// <summary>From SIGKILL until an operation of the survivors had committed, where there were two and nobody was frozen or cut off.</summary>
    public required TimeFigures KillToRetry { get; init; }

    public required double LongestStallSeconds { get; init; }

    public required double LongestStallAtSecond { get; init; }

    public required int Divergences { get; init; }

    public required int WrongResults { get; init; }

    public required int Unrestored { get; init; }

    public required int InnocentEvictions { get; init; }

    /// <summary>Peers evicted for silence that were not told so.</summary>
    public required int UnclearEvictions { get; init; }

    /// <summary>Errors of aborted calls that name who, or which link, was hit.</summary>
    public required int RightBlames { get; init; }

    public required int WrongBlames { get; init; }

    /// <summary>Newcomers that did not fit, and were told so.</summary>
    public required int Dismissals { get; init; }

    /// <summary>Misfits that were taken in, and healthy peers that had to fail for one.</summary>
    public required int Misjudged { get; init; }

    /// <summary>Times that a peer without descriptors said so.</summary>
    public required int Shortages { get; init; }

    public required int Leaks { get; init; }

    /// <summary>Times that the master found it had itself stood still: the machine was too busy.</summary>
    public required int MasterFrozen { get; init; }

    /// <summary>The longest time in which the orchestrator did not get to run: so long nobody else may have.</summary>
    public required double OrchestratorStoodStillSeconds { get; init; }

    public required ResourceSample PeerPeak { get; init; }

    public required ResourceSample OwnPeak { get; init; }

    public static ChurnReport Of(ChurnProgress progress, IReadOnlyDictionary<ChurnKind, int> events)
    {
        var plan = progress.Plan;
        var leaks = progress.Subjects.Select(subject => subject.Resources).Append(progress.OwnResources).SelectMany(resources => resources.Leaks()).ToList();
        var stall = progress.Stalls.Longest;
        string[] stalls = stall > ChurnPlan.StallMax ? [string.Create(CultureInfo.InvariantCulture, $"For {stall.TotalSeconds:0.0} s nothing committed although two healthy peers were connected.")] : [];
        IEnumerable<IReadOnlyList<string>> kinds =
        [
            progress.Failures, progress.Outcomes.Divergences, progress.WrongResults, progress.Unrestored, progress.Blame.InnocentEvictions,
            progress.UnclearEvictions, progress.Blame.WrongBlames, progress.Misjudged, leaks, stalls,
        ];
        string[] names = ["", "Divergence: ", "Wrong result: ", "Unrestored input: ", "Innocent eviction: ", "Unclear eviction: ", "Wrong blame: ", "Misjudged: ", "Leak: ", ""];
        var failures = kinds.Zip(names).SelectMany(kind => kind.First.Take(SentencesMax).Select(sentence => kind.Second + sentence)).ToList();
        var nothing = progress.Outcomes.Commits == 0;
        return new ChurnReport
        {
            Passed = failures.Count == 0 && !nothing,
            Failures = nothing ? [.. failures, "Nothing committed at all."] : failures,
            Command = plan.Command(),
            Seed = plan.Seed,
            Seconds = Math.Round(progress.Elapsed.TotalSeconds, 1),
            Events = events.ToDictionary(entry => entry.Key.ToString().ToLowerInvariant(), entry => entry.Value),
            Committed = progress.Outcomes.Commits,
            Aborted = progress.Aborted,
            Retried = progress.Retried,
            Reconnects = progress.Reconnects,
            Syncs = progress.Syncs,
            Handovers = progress.Handovers,
            FailedSyncs = progress.FailedSyncs,
            KillsInHandover = progress.KillsInHandover,
            Detection = DetectionTimes(progress.Strikes.All),
            Recovery = TimeFigures.Of(progress.Recoveries.All),
            RecoveryUndisturbed = TimeFigures.Of(progress.Recoveries.Undisturbed),
            KillToRetry = TimeFigures.Of(progress.Strikes.All.Where(strike => strike is { InSilence: false, Survivors: >= 2, Retried: not null } && !progress.Strikes.WasAnybodySilent(strike.At, strike.Retried.Value)).Select(strike => Since(strike, strike.Retried!.Value))),
            LongestStallSeconds = Math.Round(stall.TotalSeconds, 2),
            LongestStallAtSecond = Math.Round(System.Diagnostics.Stopwatch.GetElapsedTime(progress.StartedAt, Math.Max(progress.StartedAt, progress.Stalls.LongestSince)).TotalSeconds, 1),
            Divergences = progress.Outcomes.Divergences.Count,
            WrongResults = progress.WrongResults.Count,
            Unrestored = progress.Unrestored.Count,
            InnocentEvictions = progress.Blame.InnocentEvictions.Count,
            UnclearEvictions = progress.UnclearEvictions.Count,
            RightBlames = progress.Blame.RightBlames,
            WrongBlames = progress.Blame.WrongBlames.Count,
            Dismissals = progress.Dismissals,
            Misjudged = progress.Misjudged.Count,
            Shortages = progress.Shortages,
            Leaks = leaks.Count,
            MasterFrozen = progress.MasterFrozen,
            OrchestratorStoodStillSeconds = Math.Round(progress.StoodStill.TotalSeconds, 2),
            PeerPeak = Peak(progress.Subjects.Select(subject => subject.Resources.Peak)),
            OwnPeak = progress.OwnResources.Peak,
        };
    }

    public IEnumerable<string> Lines()
    {
        yield return $"Events                 {string.Join(", ", Events.Select(entry => $"{entry.Value} {entry.Key}"))}";
        yield return $"Operations             {Committed} committed; {Aborted} calls aborted, {Retried} repeated with success, {Reconnects} reconnects";
        yield return $"Shared state           {Syncs} syncs of a peer, {Handovers} newcomers handed it, {FailedSyncs} failed calls; {KillsInHandover} kills while it was handed over";
        foreach (var (kind, times) in Detection)
        {
            yield return $"{"Detection, " + kind,-23}{times}";
        }

        yield return $"Recovery               {Recovery}";
        yield return $"  nobody silent        {RecoveryUndisturbed}";
        yield return $"SIGKILL until retried  {KillToRetry}";
        yield return string.Create(CultureInfo.InvariantCulture, $"Longest stall          {LongestStallSeconds:0.00} s, from {LongestStallAtSecond:0.0} s on (allowed: {ChurnPlan.StallMax.TotalSeconds:0} s)");
        yield return $"Divergences            {Divergences}";
        yield return $"Wrong results          {WrongResults}";
        yield return $"Unrestored inputs      {Unrestored}";
        yield return $"Innocent evictions     {InnocentEvictions}, and {UnclearEvictions} peers not told why";
        yield return $"Errors of aborts       {RightBlames} name who was hit, {WrongBlames} do not";
        yield return $"Misfits                {Dismissals} dismissed, {Misjudged} misjudged; {Shortages} times a peer without descriptors said so";
        yield return $"Leaks                  {Leaks}; a peer had at most {PeerPeak.Text()}, the orchestrator with the master {OwnPeak.Text()}";
        yield return string.Create(CultureInfo.InvariantCulture, $"Machine too busy       master stood still {MasterFrozen} times, orchestrator for up to {OrchestratorStoodStillSeconds:0.00} s");
        yield return $"Again                  {Command}";
        yield return Passed ? "PASSED" : "FAILED";
    }

    private static Dictionary<string, TimeFigures> DetectionTimes(IReadOnlyList<Strike> strikes)
        => strikes.Where(strike => strike is { InSilence: false, Detected: not null, Peer.Length: > 0 })
            .GroupBy(strike => strike.Kind)
            .OrderBy(kind => kind.Key)
            .ToDictionary(kind => kind.Key.ToString().ToLowerInvariant(), kind => TimeFigures.Of(kind.Select(strike => Since(strike, strike.Detected!.Value))));

    private static TimeSpan Since(Strike strike, long at) => System.Diagnostics.Stopwatch.GetElapsedTime(strike.At, at);

    private static ResourceSample Peak(IEnumerable<ResourceSample> samples)
        => samples.Aggregate((a, b) => new ResourceSample(Math.Max(a.Descriptors, b.Descriptors), Math.Max(a.Sockets, b.Sockets), Math.Max(a.Threads, b.Threads), Math.Max(a.ResidentBytes, b.ResidentBytes)));
}
