using System.Net;
using Collective.Stress.Processes;

namespace Collective.EndToEnd.Peer;

/// <summary>Does harm to this process exactly at a protocol point.</summary>
internal sealed class Faults(Settings settings, IPEndPoint master)
{
    private readonly int[] _left = [.. settings.Harms.Select(h => h.Occurrence)];
    private readonly ManualResetEvent _never = new(false);
    private readonly ManualResetEvent _released = new(false);
    private volatile bool _armed = !settings.WaitForGo;
    private volatile bool _reportsFirst;

    /// <summary>From now on points count.</summary>
    public void Arm() => _armed = true;

    /// <summary>Who is held goes on.</summary>
    public void Release() => _released.Set();

    private bool DiesReportingALink => settings.Harms.Any(h => h.Kind == HarmKind.Die && h.Point.EndsWith("LinkFailed", StringComparison.Ordinal));

    /// <summary>Called by the library, on any of its threads, at each point.</summary>
    public void Pass(string point)
    {
        if (!_armed)
        {
            return;
        }

        for (var i = 0; i < _left.Length; i++)
        {
            var harm = settings.Harms[i];

            // A link that fails before this process has broken any, on a very busy machine, is not the one that is meant.
            var meant = _reportsFirst || harm.Kind != HarmKind.Die || !DiesReportingALink;
            if (meant && point == harm.Point && Interlocked.Decrement(ref _left[i]) == 0)
            {
                Do(harm);
            }
        }

        if (point == settings.HoldAt)
        {
            _released.WaitOne();
        }

        if (_reportsFirst && point == "receive:EpochOpened")
        {
            _never.WaitOne();
        }
    }

    private void Do(Harm harm)
    {
        switch (harm.Kind)
        {
            case HarmKind.Die:
                // Not an orderly end: nothing is flushed, no handler runs, the kernel closes the sockets.
                SelfKill.Now();
                break;
            case HarmKind.Freeze:
                Report.Line($"freezes {harm.Point}");
                Signals.Send(Environment.ProcessId, Signals.Stop);
                break;
            case HarmKind.BreakLinks:
                // Else the others' reports could bring a new epoch before this peer has said anything.
                _reportsFirst = DiesReportingALink;
                DataSockets.ShutDownAll(master);
                break;
            case HarmKind.ResetLink:
                Report.Line($"resets {DataSockets.ResetLink(master)}");
                break;
            case HarmKind.ResetStripe:
                Report.Line($"resets {DataSockets.ResetLink(master, max: 1)}");
                break;
        }
    }
}
