using System.Diagnostics;

namespace Collective.Stress.Churn;

/// <summary>Something the orchestrator did to a peer.</summary>
internal sealed class Strike(ChurnKind kind, int process, string peer, long at)
{
    public ChurnKind Kind { get; } = kind;

    /// <summary>Number of the process.</summary>
    public int Process { get; } = process;

    /// <summary>Id of the peer then; "" when it was not admitted, or has not said so yet.</summary>
    public string Peer { get; set; } = peer;

    public long At { get; } = at;

    /// <summary>When a freeze or black hole ended.</summary>
    public long Until { get; set; } = long.MaxValue;

    /// <summary>Whether the peer was frozen or cut off already.</summary>
    public bool InSilence { get; init; }

    /// <summary>Nothing was done after all.</summary>
    public bool IsVoid { get; set; }

    /// <summary>Healthy peers that were connected besides.</summary>
    public int Survivors { get; init; }

    /// <summary>When the master knew.</summary>
    public long? Detected { get; set; }

    /// <summary>When the survivors' next operation without the peer had committed.</summary>
    public long? Retried { get; set; }

    public TimeSpan LengthAt(long now) => Stopwatch.GetElapsedTime(At, Math.Min(Until, now));
}

/// <summary>All strikes of a run, and what they excuse.</summary>
internal sealed class StrikeBook
{
    // An abort is blamed on what happened within this time before: a long freeze, and the recovery from it.
    private static readonly TimeSpan _window = TimeSpan.FromSeconds(60);

    // A peer that has descriptors again may still find out that it had none.
    private static readonly TimeSpan _starvedFor = TimeSpan.FromSeconds(5);

    private readonly List<Strike> _strikes = [];

    public IReadOnlyList<Strike> All => _strikes;

    public void Add(Strike strike) => _strikes.Add(strike);

    /// <summary>Whether anything was done to this peer (or, where its id is not known to anybody, to a peer without one) shortly before.</summary>
    public bool WasHit(string peer, long at, bool isKnown, params ReadOnlySpan<ChurnKind> kinds)
    {
        foreach (var strike in _strikes)
        {
            if (IsOf(strike, peer, isKnown) && strike.At <= at && Stopwatch.GetElapsedTime(Math.Min(strike.Until, at), at) < _window
                && (kinds.IsEmpty || kinds.Contains(strike.Kind)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether the peer was silenced for long enough to be evicted for it.</summary>
    public bool WasSilenced(string peer, long at, bool isKnown) => _strikes.Exists(strike => IsOf(strike, peer, isKnown) && strike.At <= at
        && Stopwatch.GetElapsedTime(Math.Min(strike.Until, at), at) < _window
        && strike.Kind switch
        {
            ChurnKind.Freeze => strike.LengthAt(at) >= ChurnPlan.FreezeInnocent,
            ChurnKind.Blackhole => strike.LengthAt(at) >= ChurnPlan.BlackholeInnocent,
            _ => false,
        });

    /// <summary>Whether the peer had no descriptors, or had none a moment ago. One that has no id yet is known by its process.</summary>
    public bool WasStarved(string peer, int? process, long at) => _strikes.Exists(strike => strike.Kind == ChurnKind.Starve && strike.At <= at
        && (strike.Peer == peer || strike.Process == process) && Stopwatch.GetElapsedTime(Math.Min(strike.Until, at), at) < _starvedFor);

    /// <summary>Whether somebody was frozen or cut off at any moment between two.</summary>
    public bool WasAnybodySilent(long from, long to)
        => _strikes.Exists(strike => strike.Kind is ChurnKind.Freeze or ChurnKind.Blackhole && strike.At <= to && strike.Until >= from);

    private static bool IsOf(Strike strike, string peer, bool isKnown) => strike.Peer == peer || (!isKnown && strike.Peer.Length == 0);
}
