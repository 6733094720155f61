using System.Diagnostics;
using System.Globalization;
using Collective.Stress.Churn;
using Collective.Stress.Processes;

namespace Collective.Stress.Recovery;

/// <summary>One death and what followed, in milliseconds.</summary>
/// <param name="Undisturbed">The median all-reduce of all peers before.</param>
/// <param name="Detection">From SIGKILL until the master knew that the peer was lost.</param>
/// <param name="Recovery">From the first sign of the loss at the master until the new ring stood.</param>
/// <param name="Retried">From SIGKILL until the last survivor's retry had committed.</param>
internal sealed record RecoveryRound(double Undisturbed, double Detection, double Recovery, double Retried)
{
    /// <summary>What the death cost beyond one undisturbed all-reduce.</summary>
    public double Beyond => Math.Round(Retried - Undisturbed, 1);
}

/// <summary>The rounds of a run, and a sentence for everything that went wrong. Printed by <c>--json</c>.</summary>
internal sealed record RecoveryReport(bool Passed, IReadOnlyList<string> Failures, int Peers, long Bytes, IReadOnlyList<RecoveryRound> Rounds);

/// <summary>Measures again and again, each time with a new master and new processes.</summary>
internal sealed class RecoveryOrchestrator(int peers, long bytes, int rounds, Action<RecoveryRound> onRound)
{
    private readonly List<string> _failures = [];

    public async Task<RecoveryReport> RunAsync(CancellationToken cancellationToken)
    {
        var results = new List<RecoveryRound>();
        while (results.Count < rounds && _failures.Count == 0)
        {
            if (await RunRoundAsync(cancellationToken) is { } round)
            {
                results.Add(round);
                onRound(round);
            }
        }

        return new RecoveryReport(_failures.Count == 0, _failures, peers, bytes, results);
    }

    private async Task<RecoveryRound?> RunRoundAsync(CancellationToken cancellationToken)
    {
        var watch = new MasterWatch();
        await using var master = CollectiveMaster.Start(new MasterOptions { Listen = "127.0.0.1:0", LoggerFactory = watch });
        await using var children = new ChildGroup(ChildRuntime.Usual);
        for (var count = 0; count < peers; count++)
        {
            children.Start(["recovery-peer", "--master", master.EndPoint.ToString(), "--peers", peers.ToString(CultureInfo.InvariantCulture), "--size", bytes.ToString(CultureInfo.InvariantCulture)]);
        }

        var events = new List<RecoveryEvent>();
        try
        {
            await foreach (var output in children.ReadAllAsync(cancellationToken))
            {
                Apply(output, events);
                if (_failures.Count > 0)
                {
                    return null;
                }
            }
        }
        catch (TimeoutException error)
        {
            _failures.Add(error.Message);
            return null;
        }

        return Measure(events, watch);
    }

    private void Apply(ChildOutput output, List<RecoveryEvent> events)
    {
        if (output.Line is null)
        {
            if (output.Child.ExitCode is not (ExitCodes.Passed or SelfKill.ExitCode))
            {
                _failures.Add($"Peer process {output.Child.Index} ended with exit code {output.Child.ExitCode}. {output.Child.ErrorText}".TrimEnd());
            }
        }
        else if (JsonLines.Parse<RecoveryEvent>(output.Line) is { } news)
        {
            events.Add(news);
            if (news is RecoveryEvent.Failed failed)
            {
                _failures.Add($"Peer process {output.Child.Index} failed: {failed.Message}");
            }
        }
    }

    private RecoveryRound? Measure(List<RecoveryEvent> events, MasterWatch watch)
    {
        var retried = events.OfType<RecoveryEvent.Retried>().ToList();
        if (events.OfType<RecoveryEvent.Dying>().SingleOrDefault() is not { } dying || retried.Count != peers - 1 || retried.Exists(news => news.WorldSize != peers - 1))
        {
            _failures.Add($"One peer was to die and {peers - 1} to go on; {retried.Count} did.");
            return null;
        }

        var master = new List<MasterNews>();
        while (watch.TryTake(out var news))
        {
            master.Add(news);
        }

        var after = master.Where(news => news.At > dying.At).ToList();
        var undisturbed = events.OfType<RecoveryEvent.Undisturbed>().Select(news => news.Milliseconds).Order().ToList();
        return new RecoveryRound(
            Math.Round(undisturbed[undisturbed.Count / 2], 1),
            Milliseconds(dying.At, after.First(news => news.Kind == MasterNews.PeerLost).At),
            Milliseconds(after.First(news => news.Kind == MasterNews.EpochOpened).At, after.First(news => news.Kind == MasterNews.EpochStands).At),
            Milliseconds(dying.At, retried.Max(news => news.CommittedAt)));
    }

    private static double Milliseconds(long from, long to) => Math.Round(Stopwatch.GetElapsedTime(from, to).TotalMilliseconds, 1);
}
