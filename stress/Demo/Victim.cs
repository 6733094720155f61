using Collective.Stress.Processes;

namespace Collective.Stress.Demo;

/// <summary>
/// Ends this process by SIGKILL in the middle of one all-reduce: not around the time of one, but always in it, however busy
/// the machine is. The library calls <see cref="OnProtocolPoint"/> at each point of the protocol, on the thread that does
/// the work.
/// </summary>
internal sealed class Victim(Action lastWord)
{
    // Guards the fields, because points are passed on several threads. Who dies keeps it, so that all other threads stop at
    // their next point and none of them can complete the all-reduce while the signal is on its way.
    private readonly Lock _lock = new();
    private bool _isArmed;
    private bool _hasEntered;
    private int _segmentsLeft;

    /// <summary>
    /// From here on the process is going to die in the next all-reduce, once it has entered it and received as many segments
    /// as there are other peers. That is the end of the reduce-scatter: the other peers have all entered, and none has a
    /// result. To be called before any other peer can begin that all-reduce, because its first segments may come early.
    /// </summary>
    public void Arm(int worldSize)
    {
        lock (_lock)
        {
            _segmentsLeft = worldSize - 1;
            _isArmed = true;
        }
    }

    /// <summary>The probe of the communicator.</summary>
    public void OnProtocolPoint(string point)
    {
        lock (_lock)
        {
            if (!_isArmed)
            {
                return;
            }

            _hasEntered |= point == "after-send:CollectiveStart";
            _segmentsLeft -= point == "segment-received" ? 1 : 0;
            if ((_hasEntered && _segmentsLeft <= 0) || point == "before-send:CollectiveDone")
            {
                lastWord();
                SelfKill.Now();
            }
        }
    }
}
