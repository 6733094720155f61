using System.Diagnostics;
using System.Globalization;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>Starts the master and the peer processes, lets the schedule loose on them, follows what they report and judges the outcome.</summary>
internal sealed class ChurnOrchestrator(ChurnPlan plan, IChurnDisplay display, TextWriter? log)
{
    // Times in events are exact, whenever they are read; this only bounds how late an event of the schedule happens.
    private static readonly TimeSpan _pace = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan _turnMax = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan _sampleInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _silentMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan _calmMax = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan _leaveMax = TimeSpan.FromSeconds(20);
    private const int LogEverySamples = 10;
    private const int CalmSteps = 5;
    private const int HostOfMaster = 0;
    private const int HostsOfPeers = 1;

    private readonly ChurnProgress _progress = new(plan, log);
    private readonly MasterWatch _masterWatch = new();
    private readonly ChurnSchedule _schedule = new(plan.Seed, plan.Rate);
    private HostNetwork? _network;
    private ChildGroup _children = null!;
    private ChurnStriker _striker = null!;
    private string _master = "";
    private long _lastSample;
    private TimeSpan _lost;

    public async Task<ChurnReport> RunAsync(CancellationToken cancellationToken)
    {
        using var network = _network = plan.Mix.Contains(ChurnKind.Blackhole) ? HostNetwork.Create(HostsOfPeers + (2 * plan.Peers)) : null;
        await using var master = StartMaster();
        await using var children = _children = new ChildGroup(ChildRuntime.NoLateThreads);
        _master = master.EndPoint.ToString();
        _striker = new ChurnStriker(_progress, network, StartPeer);
        for (var count = 0; count < ChurnPlan.Founders; count++)
        {
            StartPeer();
        }

        var planned = _schedule.Next();
        while (_progress.Elapsed < plan.Length && _progress.Failures.Count == 0)
        {
            for (; planned is { } due && due.At + _lost <= _progress.Elapsed; planned = _schedule.Next())
            {
                _striker.Strike(due);
            }

            await TurnAsync(cancellationToken);
        }

        await EndAsync(cancellationToken);
        display.Update(_progress, _striker.Done);
        return ChurnReport.Of(_progress, _striker.Done);
    }

    private CollectiveMaster StartMaster()
    {
        var options = new MasterOptions
        {
            Listen = _network is null ? "127.0.0.1:0" : $"{HostNetwork.AddressOf(HostOfMaster)}:0",
            HeartbeatTimeout = ChurnPlan.HeartbeatTimeout,
            LoggerFactory = _masterWatch,
        };
        return _network is null ? CollectiveMaster.Start(options) : _network.NamespaceOf(HostOfMaster).Run(() => CollectiveMaster.Start(options));
    }

    private void StartPeer()
    {
        var host = Enumerable.Range(HostsOfPeers, 2 * plan.Peers).First(host => _progress.Subjects.TrueForAll(subject => !subject.HoldsHost || subject.Host != host));
        var number = _progress.Joins++;
        string[] arguments = ["churn-peer", "--master", _master, "--seed", (plan.Seed + number).ToString(CultureInfo.InvariantCulture)];
        var misfit = number < ChurnPlan.Founders ? null : _schedule.Misfit(plan.Misfits);
        var child = _children.Start(misfit is null ? arguments : [.. arguments, "--misfit", $"{misfit}"], _network?.NamespaceOf(host));
        var subject = new Subject(child, host, plan.Peers) { Misfit = misfit };
        _progress.Subjects.Add(subject);
        _progress.Tell(misfit is null ? $"{subject.Name} joins" : $"{subject.Name} joins, a misfit in its {misfit}");
    }

    /// <summary>
    /// Reads what has happened and undoes what does not last. When the machine was so busy that a turn took long, the events that were due meanwhile do not come all at once, but later.
    /// </summary>
    private async Task TurnAsync(CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        await ReadAsync();
        await Task.Delay(_pace, cancellationToken);
        var took = Stopwatch.GetElapsedTime(began);
        if (took > _turnMax)
        {
            _lost += took;
            _progress.OnStoodStill(took);
        }
    }

    private async Task ReadAsync()
    {
        _striker.UndoWhatIsDue();
        while (_children.Outputs.TryRead(out var output))
        {
            await ApplyAsync(output);
        }

        _striker.StrikeHandovers();
        while (_masterWatch.TryTake(out var news))
        {
            _progress.Apply(news);
        }

        _progress.RunDueChecks();
        var now = Stopwatch.GetTimestamp();
        _progress.Stalls.OnTime(now, _progress.Subjects.Count(subject => subject.IsHealthy && subject.Peer.Length > 0));
        if (Stopwatch.GetElapsedTime(_lastSample, now) >= _sampleInterval)
        {
            _lastSample = now;
            Sample();
            display.Update(_progress, _striker.Done);
        }
    }

    private void Sample()
    {
        foreach (var subject in _progress.Subjects.Where(subject => !subject.HasEnded))
        {
            if (subject.Silence is null && LeakJudge.Measure(subject.Child.ProcessId) is { } sample)
            {
                subject.Resources.Add(sample);
                if (subject.Resources.Count % LogEverySamples == 0)
                {
                    _progress.Log($"{subject.Name} holds {sample.Text()}");
                }
            }

            if (subject.IsHealthy && subject.OwesEviction is null && Stopwatch.GetElapsedTime(subject.LastNews) > _silentMax)
            {
                _progress.Fail($"{subject.Name} (peer {subject.Peer}, process id {subject.Child.ProcessId}) has reported nothing for {_silentMax.TotalSeconds} s: it hangs{(subject.Waiting is { } waiting ? $" in {waiting.Call} of step {waiting.Step}" : "")}");
            }
        }

        if (LeakJudge.Measure(Environment.ProcessId) is { } own)
        {
            _progress.OwnResources.Add(own);
        }
    }

    private async Task ApplyAsync(ChildOutput output)
    {
        var subject = _progress.Subjects[output.Child.Index];
        if (output.Line is null)
        {
            await OnEndedAsync(subject);
        }
        else if (JsonLines.Parse<ChurnEvent>(output.Line) is { } news)
        {
            _progress.Apply(subject, news);
        }
        else
        {
            _progress.Fail($"{subject.Name} wrote a line that is no event of the churn program: {output.Line}");
        }
    }

    private async Task OnEndedAsync(Subject subject)
    {
        subject.HasEnded = true;
        var code = subject.Child.ExitCode;
        var expected = subject.IsKilled ? SelfKill.ExitCode : subject.IsLeaving || subject.IsDone ? ExitCodes.Passed : -1;
        if (code != expected)
        {
            _progress.Fail($"{subject.Name} (process id {subject.Child.ProcessId}) ended with exit code {code}. {subject.Child.ErrorText}".TrimEnd());
        }

        if (subject.Silence is { } silence)
        {
            // The host of one that was cut off stays so for as long as was planned, and is not used meanwhile.
            silence.Until = silence.Kind == ChurnKind.Freeze ? Stopwatch.GetTimestamp() : silence.Until;
        }

        await _children.ForgetAsync(subject.Child);
    }

    /// <summary>No more events: all come together, go on for some steps, and leave.</summary>
    private async Task EndAsync(CancellationToken cancellationToken)
    {
        _striker.Calm();
        var since = Stopwatch.GetTimestamp();
        _schedule.EndMisfits();
        var goal = ulong.MaxValue;
        while (_progress.Failures.Count == 0 && _progress.Present.Any(subject => subject.Peer.Length == 0 || subject.Step < goal))
        {
            if (_progress.Present.Count(subject => subject.Misfit is null) < 2)
            {
                StartPeer(); // What was begun before may still end one.
            }

            await TurnAsync(cancellationToken);
            if (goal == ulong.MaxValue && !_striker.IsAnythingPending && _progress.Present.All(subject => subject is { Peer.Length: > 0, OwesEviction: null }))
            {
                goal = _progress.Present.Max(subject => subject.Step) + CalmSteps;
            }

            if (Stopwatch.GetElapsedTime(since) > _calmMax)
            {
                _progress.Fail($"{_calmMax.TotalSeconds} s after the last event not all peers are back and go on together");
            }
        }

        _striker.UndoWhatIsDue(all: true);
        since = Stopwatch.GetTimestamp();
        foreach (var subject in _progress.Present.ToList())
        {
            _progress.Strikes.Add(new Strike(ChurnKind.Leave, subject.Child.Index, subject.Peer, since));
            subject.IsLeaving = true;
            subject.Child.Tell("leave");
        }

        while (_progress.Failures.Count == 0 && _progress.Subjects.Exists(subject => !subject.HasEnded))
        {
            await TurnAsync(cancellationToken);
            if (Stopwatch.GetElapsedTime(since) > _leaveMax)
            {
                _progress.Fail($"{string.Join(", ", _progress.Subjects.Where(subject => !subject.HasEnded).Select(subject => subject.Name))} did not leave within {_leaveMax.TotalSeconds} s");
            }
        }

        await ReadAsync();
        _progress.RunDueChecks(all: true);
    }
}
