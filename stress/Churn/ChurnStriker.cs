using System.Diagnostics;
using System.Globalization;
using Collective.Stress.Processes;

namespace Collective.Stress.Churn;

/// <summary>Does to the peers what the schedule says, and undoes what does not last.</summary>
internal sealed class ChurnStriker(ChurnProgress progress, HostNetwork? network, Action startPeer)
{
    // Kills of several peers at once, kills of a peer that is frozen or cut off, and silences that last longer than the timeout: shares of their kind.
    private const double BurstShare = 0.15;
    private const double KillInSilenceShare = 0.25;

    // Kills that wait until state is handed over to somebody.
    private const double KillInHandoverShare = 0.3;
    private const double LongShare = 0.4;

    // Silences that begin together last no longer than one does; after that the run must go on before the next.
    private static readonly TimeSpan _togetherMax = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan _longMin = ChurnPlan.HeartbeatTimeout + TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan _longSpread = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan _starvedMin = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan _starvedSpread = TimeSpan.FromSeconds(6);

    private readonly List<(long At, Action Undo)> _pending = [];
    private long _silenceBegan;
    private int _commitsAtSilence;
    private int _killsAtHandover;

    private static long Now => Stopwatch.GetTimestamp();

    /// <summary>Counts of what was done.</summary>
    public Dictionary<ChurnKind, int> Done { get; } = Enum.GetValues<ChurnKind>().ToDictionary(kind => kind, _ => 0);

    public bool IsAnythingPending => _pending.Count > 0;

    public void Strike(PlannedEvent planned)
    {
        var present = progress.Present.ToList();
        if (ChurnSchedule.Choose(planned.Kind, progress.Plan.Mix, present.Count, progress.Plan.Peers) is not { } kind)
        {
            return;
        }

        if (kind == ChurnKind.Join)
        {
            Done[kind]++;
            startPeer();
            return;
        }

        // The first peer lives through the whole run: what leaks in a peer shows in it.
        var mortal = kind is ChurnKind.Kill or ChurnKind.Leave;
        var targets = present.Where(subject => subject.Peer.Length > 0 && (mortal ? subject.Child.Index > 0 : subject is { Silence: null, Starvation: null, Misfit: null })).ToList();
        if (targets.Count == 0)
        {
            return;
        }

        var target = targets[(int)(planned.Target * targets.Count)];
        switch (kind)
        {
            case ChurnKind.Kill when planned.Detail < BurstShare:
                targets.ForEach(other => KillIf(other == target || other.Child.Index % 2 == target.Child.Index % 2, other));
                break;
            case ChurnKind.Kill when planned.Detail > 1 - KillInHandoverShare: _killsAtHandover++; break;
            case ChurnKind.Kill: Kill(target); break;
            case ChurnKind.Leave: Leave(target); break;
            case ChurnKind.Starve: Starve(target, planned); break;
            case ChurnKind.Reset: Reset(target, planned); break;
            default: Silence(kind, target, planned); break;
        }
    }

    /// <summary>Kills that have waited for a handover in vain are not done any more.</summary>
    public void Calm() => _killsAtHandover = 0;

    /// <summary>When state is on its way to a newcomer: kills one of those who give it.</summary>
    public void StrikeHandovers()
    {
        if (_killsAtHandover > 0 && progress.Present.Any(subject => subject.IsReceiving))
        {
            var donors = progress.Present.Where(subject => subject is { IsReceiving: false, Peer.Length: > 0, Child.Index: > 0 }).ToList();
            if (donors.Count > 0)
            {
                _killsAtHandover--;
                Kill(donors[_killsAtHandover % donors.Count]);
            }
        }
    }

    /// <summary>Ends the silences whose time is over.</summary>
    public void UndoWhatIsDue(bool all = false)
    {
        foreach (var (at, undo) in _pending.Where(item => all || item.At <= Now).ToList())
        {
            _pending.Remove((at, undo));
            undo();
        }
    }

    private void KillIf(bool condition, Subject target)
    {
        if (condition)
        {
            Kill(target);
        }
    }

    private void Kill(Subject target)
    {
        progress.OnKill();
        Note(ChurnKind.Kill, target, target.Silence is null ? "killed" : "killed while it is silent");
        target.IsKilled = true;
        Signals.Send(target.Child.ProcessId, Signals.Kill);
    }

    private void Leave(Subject target)
    {
        Note(ChurnKind.Leave, target, "leaves");
        target.IsLeaving = true;
        target.Child.Tell("leave");
    }

    private void Reset(Subject target, PlannedEvent planned)
    {
        var whole = planned.Detail < 0.5;
        Note(ChurnKind.Reset, target, whole ? "resets the link to its next peer" : "resets one connection");
        target.Child.Tell(whole ? "reset link" : string.Create(CultureInfo.InvariantCulture, $"reset stripe {(int)(planned.Length * 1000)}"));
    }

    private void Starve(Subject target, PlannedEvent planned)
    {
        if (DescriptorLimit.Exhaust(target.Child.ProcessId) is not { } before)
        {
            return;
        }

        var length = _starvedMin + (_starvedSpread * planned.Length);
        var strike = Note(ChurnKind.Starve, target, string.Create(CultureInfo.InvariantCulture, $"gets no more descriptors for {length.TotalSeconds:0.0} s"));
        target.Starvation = strike;
        _pending.Add((After(length), End));

        void End()
        {
            strike.Until = Now;
            target.Starvation = null;
            if (!target.HasEnded)
            {
                DescriptorLimit.Restore(target.Child.ProcessId, before);
            }
        }
    }

    private void Silence(ChurnKind kind, Subject target, PlannedEvent planned)
    {
        if (!MaySilence())
        {
            return;
        }

        var isLong = planned.Detail < LongShare;
        var innocent = kind == ChurnKind.Freeze ? ChurnPlan.FreezeInnocent : ChurnPlan.BlackholeInnocent;
        var length = isLong ? _longMin + (_longSpread * planned.Length) : innocent * (0.05 + (0.8 * planned.Length));
        var strike = Note(kind, target, string.Create(CultureInfo.InvariantCulture, $"{(kind == ChurnKind.Freeze ? "frozen" : "cut off")} for {length.TotalSeconds:0.0} s"));
        target.Silence = strike;
        if (kind == ChurnKind.Freeze)
        {
            Signals.Send(target.Child.ProcessId, Signals.Stop);
        }
        else
        {
            network!.Detach(target.Host);
        }

        _pending.Add((After(length), () => End(target, strike)));
        if (planned.Kind * 1000 % 1 < KillInSilenceShare && target.Child.Index > 0)
        {
            _pending.Add((After(length / 2), () => KillIf(target.IsPresent && target.Silence == strike, target)));
        }
    }

    /// <summary>Every silence may hold up all others for as long as the timeout: one after the other without a commit in between, they would add up.</summary>
    private bool MaySilence()
    {
        var isAnybodySilent = progress.Subjects.Exists(subject => subject is { HasEnded: false, Silence: not null });
        var goesOn = progress.Outcomes.Commits > _commitsAtSilence + progress.Plan.Peers && !isAnybodySilent;
        if (goesOn)
        {
            _silenceBegan = Now;
            _commitsAtSilence = progress.Outcomes.Commits;
            return true;
        }

        return Stopwatch.GetElapsedTime(_silenceBegan) < _togetherMax;
    }

    private void End(Subject target, Strike strike)
    {
        strike.Until = Math.Min(strike.Until, Now);
        target.Silence = null;
        if (strike.Kind == ChurnKind.Blackhole)
        {
            network!.Attach(target.Host);
        }
        else if (!target.HasEnded && !target.IsKilled)
        {
            target.OwesEviction = !target.IsLeaving && strike.LengthAt(Now) > _longMin - TimeSpan.FromMilliseconds(100) ? strike : null; // Who leaves has not to say more.
            Signals.Send(target.Child.ProcessId, Signals.Continue);
        }
    }

    private Strike Note(ChurnKind kind, Subject target, string what)
    {
        Done[kind]++;
        var strike = new Strike(kind, target.Child.Index, target.Peer, Now)
        {
            InSilence = target.Silence is not null,
            Survivors = progress.Subjects.Count(other => other != target && other.IsHealthy && other.Peer.Length > 0),
        };
        progress.Strikes.Add(strike);
        progress.Tell($"{target.Name} (peer {target.Peer}) {what}");
        return strike;
    }

    private static long After(TimeSpan length) => Now + (long)(length.TotalSeconds * Stopwatch.Frequency);
}
